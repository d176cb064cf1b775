import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { SYSTEM_PATH } from './command.ts'

/** Debian package of each command that the tests call; what `missing` tells the reader to install. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  iptables: 'iptables',
  nft: 'nftables',
  conntrack: 'conntrack',
  curl: 'curl',
  aws: 'awscli',
  buildah: 'buildah',
  runc: 'runc',
  debootstrap: 'debootstrap',
  kubectl: 'kubectl (or kubernetes-client)',
  openssl: 'openssl',
  ruby: 'ruby ruby-aws-sdk-core ruby-aws-sdk-s3',
  s3fs: 's3fs',
  rclone: 'rclone',
}

/** Full path of a system command, or undefined. The search path is the system's, not the caller's. */
export function findCommand(name: string): string | undefined {
  for (const folder of SYSTEM_PATH.split(':')) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

/** Why tests that need root and these commands cannot run here; undefined when they can. */
export function whyNot(
  commands: readonly string[] = ['ip', 'iptables', 'conntrack', 'curl'],
): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root: run this as root (sudo npm run e2e)'
  const absent = commands.filter((name) => findCommand(name) === undefined)
  if (absent.length === 0) return undefined
  const packages = absent.map((name) => PACKAGE_OF[name] ?? name).join(' ')
  return `missing ${absent.join(', ')}: apt-get install ${packages}`
}

/**
 * True when the tests have to be skipped, with the reason on stderr. In CI (`CI=true`) nothing may be skipped
 * silently: there the reason is thrown.
 */
export function mustSkip(what: string, commands?: readonly string[]): boolean {
  const reason = whyNot(commands)
  if (reason === undefined) return false
  if (process.env['CI'] === 'true') throw new Error(`${what}: ${reason}`)
  process.stderr.write(`SKIPPED ${what}: ${reason}\n`)
  return true
}
