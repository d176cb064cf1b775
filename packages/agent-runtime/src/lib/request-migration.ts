import type { WritableNodeFiles } from '@kube2iam-ts/iptables-manager'

const SETTING = 'net.ipv4.tcp_migrate_req'
const OWN = '/proc/sys/net/ipv4/tcp_migrate_req'
/** A container has `/proc/sys` read-only: there `deploy/kustomize/components/migrate-requests` mounts this one file. */
const MOUNTED = `/host${OWN}`

export type RequestMigrationEvent =
  /** Connections that wait to be accepted when a listener closes go to the other one on its port. */
  | { readonly kind: 'requests-migrate'; readonly setting: string; readonly by: 'this agent' | 'the node' }
  /** They are reset. */
  | { readonly kind: 'requests-do-not-migrate'; readonly why: string }

/**
 * Has the kernel hand connections that nobody has accepted yet from an agent that closes to the one beside it (Linux
 * 5.14, Documentation/networking/ip-sysctl.rst). The setting is of the network namespace and read when a listener
 * closes, so the agent that comes sets it for the one that goes; it is never set back, because nobody knows who else
 * relies on it by then.
 */
export async function migrateRequests(
  files: Pick<WritableNodeFiles, 'readText' | 'writeText'>,
): Promise<RequestMigrationEvent> {
  const isSet = async (): Promise<boolean> => (await files.readText(OWN))?.trim() === '1'
  if ((await files.readText(OWN)) === undefined) {
    return { kind: 'requests-do-not-migrate', why: `this kernel has no ${SETTING}; 5.14 and later have` }
  }
  if (await isSet()) return { kind: 'requests-migrate', setting: SETTING, by: 'the node' }
  const refused: string[] = []
  for (const path of [OWN, MOUNTED]) {
    const code = await files.writeText(path, '1\n')
    // What was mounted may be the setting of another network namespace: only the own one counts.
    if (code === undefined && (await isSet())) {
      return { kind: 'requests-migrate', setting: SETTING, by: 'this agent' }
    }
    refused.push(`${path}: ${code ?? 'without effect'}`)
  }
  const why = `${SETTING} is not 1 and cannot be set (${refused.join(', ')}); set it on the node, or see components/migrate-requests`
  return { kind: 'requests-do-not-migrate', why }
}
