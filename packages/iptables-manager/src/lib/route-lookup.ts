import { type IpAddress, isCoded, isIpv6, toIpAddress } from '@kube2iam-ts/core'
import type { CommandRunner } from './command-runner.ts'

/** What the node's routing says. */
export interface NodeRoutes {
  /** Device towards each address that was asked for and has a route. */
  readonly devices: ReadonlyMap<IpAddress, string>
  /** Devices of the default routes. */
  readonly defaultDevices: ReadonlySet<string>
  /** Names of all interfaces. */
  readonly links: readonly string[]
}

/**
 * Asks the node's routing table by which device it reaches each address, in one call of `ip`. Where that program is
 * not installed nothing is known.
 */
export async function lookUpRoutes(
  runner: CommandRunner,
  addresses: readonly IpAddress[],
  signal?: AbortSignal,
): Promise<NodeRoutes> {
  const questions = ['link show', 'route show default', ...addresses.map((address) => `route get ${address}`)]
  const answers = await ask(runner, ['-json', '-force', '-batch', '-'], `${questions.join('\n')}\n`, signal)
  const more = addresses.some(isIpv6)
    ? await ask(runner, ['-json', '-6', 'route', 'show', 'default'], '', signal)
    : []
  const devices = new Map<IpAddress, string>()
  const defaultDevices = new Set<string>()
  const links: string[] = []
  for (const { ifname, dst, dev } of [...answers, ...more]) {
    if (typeof ifname === 'string') links.push(ifname)
    if (typeof dst !== 'string' || typeof dev !== 'string') continue
    const address = toIpAddress(dst)
    if (address !== undefined) devices.set(address, dev)
    else if (dst === 'default') defaultDevices.add(dev)
  }
  return { devices, defaultDevices, links }
}

interface IpObject {
  readonly dst?: unknown
  readonly dev?: unknown
  readonly ifname?: unknown
}

/** Each command of a batch that succeeds prints one JSON list, the others are skipped. */
async function ask(
  runner: CommandRunner,
  args: readonly string[],
  input: string,
  signal?: AbortSignal,
): Promise<IpObject[]> {
  try {
    const { stdout } = await runner.run('ip', args, { input, ...(signal && { signal }) })
    return stdout
      .split('\n')
      .flatMap((line) => (line.startsWith('[') ? (JSON.parse(line) as IpObject[]) : []))
  } catch (error) {
    if (isCoded(error, 'COMMAND_MISSING') || isCoded(error, 'COMMAND_DENIED')) return []
    throw error
  }
}
