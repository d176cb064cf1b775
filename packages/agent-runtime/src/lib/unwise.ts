import { toIpAddress } from '@kube2iam-ts/core'
import { parseMetadataAllow } from '@kube2iam-ts/metadata-emulator'
import { sharesPort } from './listeners.ts'
import { isEverybody } from './settings/contradictions.ts'
import type { AgentSettings } from './settings/settings.ts'

const LONGEST_WAIT_MS = 5_000
const WATCH_MS = 300_000

/** Plain HTTP to anywhere but this machine. */
export function isReadOnTheWay(url: string | undefined): boolean {
  if (url === undefined) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname)
}

/** Whether what is redirected to an address of the node finds the agent there, as far as settings tell. */
function isListenedOn(address: string, { bindAddresses }: AgentSettings): boolean {
  const same = (other: string): boolean => toIpAddress(other) === toIpAddress(address)
  const isAny = (other: string): boolean =>
    toIpAddress(other) === '::' || (other === '0.0.0.0' && !address.includes(':'))
  return bindAddresses.length === 0 || bindAddresses.some((other) => same(other) || isAny(other))
}

/** What was asked for and is allowed, and what somebody should know about it. */
export function unwiseSettings(settings: AgentSettings): readonly { setting: string; why: string }[] {
  const rows: (readonly [boolean, string, string])[] = [
    [
      sharesPort(settings),
      '--metrics-port',
      'it is the port that pods reach, so that they can read metrics; give it one of its own',
    ],
    [
      settings.bindAddresses.length === 0 && settings.hostIps.length === 0,
      '--bind-address',
      'every address of the node is listened on; give --host-ip or --bind-address',
    ],
    [
      settings.iptables && settings.hostIps.some((address) => !isListenedOn(address, settings)),
      '--bind-address',
      'pods are redirected to a --host-ip that is not listened on; leave it out, or give each of --host-ip',
    ],
    [settings.insecure, '--insecure', "the API server's certificate is not verified; use it in tests only"],
    [
      parseMetadataAllow(settings.metadataAllow).insecure !== undefined,
      '--metadata-allow',
      'pods can read everything of the node that is no credential, user data included; this is insecure',
    ],
    [
      settings.allowCidr.some(isEverybody),
      '--allow-cidr',
      'whoever reaches this node can read what pods may read of it; give the ranges that are meant',
    ],
    [
      (settings.podWait ?? settings.backoffMaxElapsedTime ?? 0) > LONGEST_WAIT_MS,
      '--pod-wait',
      'clients give up after one second, or a few with retries; what waits longer only holds connections',
    ],
    [
      (settings.apiToken ?? settings.apiTokenFile) !== undefined && isReadOnTheWay(settings.apiServer),
      '--api-server',
      'the token is sent unencrypted; give an https:// URL',
    ],
    [
      isReadOnTheWay(settings.stsEndpoint),
      '--sts-endpoint',
      'the credentials of all pods are sent unencrypted; give an https:// URL',
    ],
    [
      settings.relistInterval > 0 && settings.relistInterval < WATCH_MS,
      '--relist-interval',
      'a watch lasts five minutes, and lists follow its end; no list comes sooner than that',
    ],
    [
      settings.node === undefined,
      '--node',
      'the pods of the whole cluster are watched; give the name of this node',
    ],
    [
      settings.debug && sharesPort(settings),
      '--debug',
      '/debug/store is served on a --metrics-port of its own only',
    ],
    [
      settings.given.baseRoleArn !== undefined && settings.autoDiscoverDefaultRole,
      '--base-role-arn',
      'it is replaced by what --auto-discover-default-role finds, as in kube2iam',
    ],
    [
      settings.namespaceRestrictions === 'off',
      '--namespace-restrictions',
      'whoever may create pods may name any role that this node can assume; see audit and enforce',
    ],
  ]
  return rows.filter(([isSo]) => isSo).map(([, setting, why]) => ({ setting, why }))
}
