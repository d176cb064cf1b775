import type { IpAddress } from '@kube2iam-ts/core'
import type { CaptureSource } from './capture-rules.ts'
import type { Leftover } from './leftovers.ts'
import type { NodeFiles } from './node-files.ts'
import type { RoutingStatus } from './routing-guard.ts'
import { matchesInterface } from './well-known-interfaces.ts'

/** One thing that `doctor` looked at. */
export interface Finding {
  /** Stable name of the check. */
  readonly check: 'route-localnet' | 'rp-filter' | 'leftovers' | 'ebpf-routing' | 'routing-guard'
  readonly severity: 'ok' | 'warning' | 'error'
  readonly message: string
  readonly remedy?: string
}

export interface NodeCheckOptions {
  readonly files: NodeFiles
  readonly hostIps: readonly IpAddress[]
  readonly sources: readonly CaptureSource[]
  /** Names of the node's interfaces. */
  readonly links: readonly string[]
  readonly leftovers: readonly Leftover[]
  readonly routing: RoutingStatus
  /** Rules of others that come before the guard in the routing policy. */
  readonly ahead: readonly string[]
}

/** What the node's own settings mean for the redirect. Reads `/proc/sys` and decides nothing. */
export async function checkNode(options: NodeCheckOptions): Promise<readonly Finding[]> {
  const devices = options.links.filter((link) =>
    options.sources.some((source) => source.kind === 'interface' && matchesInterface(source.match, link)),
  )
  return [
    await routeLocalnet(options, devices),
    await rpFilter(options, devices),
    ebpfRouting(options),
    leftovers(options),
    routingGuard(options),
  ]
}

async function routeLocalnet(
  { files, hostIps }: NodeCheckOptions,
  devices: readonly string[],
): Promise<Finding> {
  const check = 'route-localnet'
  const loopback = hostIps.find((ip) => ip.startsWith('127.'))
  if (loopback === undefined)
    return { check, severity: 'ok', message: 'the agent is not behind a loopback address' }
  const all = await files.readText('/proc/sys/net/ipv4/conf/all/route_localnet')
  const each = await Promise.all(
    devices.map((device) => files.readText(`/proc/sys/net/ipv4/conf/${device}/route_localnet`)),
  )
  if (all?.trim() === '1' || (each.length > 0 && each.every((text) => text?.trim() === '1'))) {
    return { check, severity: 'ok', message: `route_localnet lets pods reach ${loopback}` }
  }
  return {
    check,
    severity: 'error',
    message: `the redirect leads to ${loopback}, which the kernel drops as a martian: route_localnet is 0`,
    remedy: 'set --host-ip to the address of the node, or net.ipv4.conf.<interface>.route_localnet=1',
  }
}

async function rpFilter({ files }: NodeCheckOptions, devices: readonly string[]): Promise<Finding> {
  const check = 'rp-filter'
  const read = async (name: string): Promise<number> =>
    Number((await files.readText(`/proc/sys/net/ipv4/conf/${name}/rp_filter`))?.trim() ?? 0)
  const all = await read('all')
  const values = await Promise.all(
    devices.map(async (device) => ({ device, value: Math.max(all, await read(device)) })),
  )
  const open = values.filter(({ value }) => value === 0).map(({ device }) => device)
  if (open.length === 0)
    return {
      check,
      severity: 'ok',
      message: 'packets with another pod’s address are refused where routes tell',
    }
  return {
    check,
    severity: 'warning',
    message: `${open.slice(0, 5).join(', ')} accept${open.length === 1 ? 's' : ''} packets from any address: a pod with CAP_NET_RAW may ask as another`,
    remedy: 'set net.ipv4.conf.<interface>.rp_filter=1, or drop CAP_NET_RAW from pods',
  }
}

/** docs.cilium.io/en/stable/operations/performance/tuning/#ebpf-host-routing: packets then pass no netfilter hook. */
function ebpfRouting({ links }: NodeCheckOptions): Finding {
  const check = 'ebpf-routing'
  if (!links.includes('cilium_host')) return { check, severity: 'ok', message: 'no eBPF data path is seen' }
  return {
    check,
    severity: 'warning',
    message: 'Cilium may route pods’ packets past netfilter, where no rule sees them',
    remedy:
      'set bpf.hostLegacyRouting=true in Cilium, or let the probe of `doctor` prove that packets are intercepted',
  }
}

function leftovers({ leftovers }: NodeCheckOptions): Finding {
  const check = 'leftovers'
  const [first] = leftovers
  if (first === undefined) return { check, severity: 'ok', message: 'no rule of another agent is there' }
  return {
    check,
    severity: 'warning',
    message: `${leftovers.length} rule${leftovers.length === 1 ? '' : 's'} of kube2iam or kiam ${leftovers.length === 1 ? 'is' : 'are'} there, leading to ${first.leadsTo}`,
    remedy: 'remove the other agent, then run `kube2iam uninstall --also-kube2iam`',
  }
}

/** Who adds a rule without a preference gets the one below the lowest, and with it a place before ours. */
function routingGuard({ routing, ahead }: NodeCheckOptions): Finding {
  const check = 'routing-guard'
  const states = Object.values(routing.families)
  if (routing.reason !== undefined) {
    return {
      check,
      severity: 'warning',
      message: `the routing policy keeps nobody from the metadata service: ${routing.reason}; rules in netfilter do alone`,
      remedy:
        'use a kernel with policy routing and the ip of iproute2, or leave it at that with --guard-routing=false',
    }
  }
  if (states.includes('off')) return { check, severity: 'ok', message: 'is switched off: --guard-routing' }
  if (states.includes('missing')) {
    return {
      check,
      severity: 'warning',
      message: 'rules of ours are missing in the routing policy',
      remedy: 'let the agent run with --iptables; see kube2iam iptables plan',
    }
  }
  if (ahead.length === 0)
    return { check, severity: 'ok', message: 'the routing policy stops what no rule redirected' }
  return {
    check,
    severity: 'warning',
    message: `another rule of the routing policy comes before the guard and may lead packets past it: ${ahead.slice(0, 3).join('; ')}`,
    remedy: 'give that rule a preference above 8',
  }
}
