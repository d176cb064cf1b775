import { isIpv6, parseCidr, parseIpAddress } from '@kube2iam-ts/core'
import { createFakeRoutingPolicy, type FakeRoutingPolicy, isStopped } from './fake-ip-rules.ts'
import { parseRule, ruleArgs } from './iptables-syntax.ts'
import { parseNftRule } from './nft-syntax.ts'
import type { BaseChain } from './plan.ts'
import type { Rule } from './rule.ts'
import type { Family } from './settings.ts'

/** Which rule set: the two kinds of iptables do not see one another. */
export type FakeKind = 'nft' | 'legacy'

export interface FakeRule {
  /** As iptables prints it after `-A CHAIN `. */
  readonly text: string
  readonly rule: Rule
  packets: number
}

export interface FakeTable {
  /** Chain names in order of creation; built-in chains first. */
  readonly chains: Map<string, FakeRule[]>
}

export interface FakeNftChain {
  readonly base?: BaseChain
  readonly rules: {
    readonly handle: number
    readonly json: Readonly<Record<string, unknown>>
    packets: number
  }[]
}

export interface FakePacket {
  readonly source: string
  readonly destination: string
  readonly inInterface: string
  /** tcp unless told. */
  readonly protocol?: 'tcp' | 'udp'
  /** 80 unless told. */
  readonly port?: number
  /** Whether the destination, as it is after NAT, is an address of the node's own: then INPUT, otherwise FORWARD. */
  readonly local?: boolean
  /** A packet of a connection that is already known goes where the first went; NAT is not asked again. */
  readonly established?: boolean
}

export type FakeFate =
  | { readonly fate: 'redirected'; readonly address: string; readonly port: number }
  | { readonly fate: 'dropped' }
  /** It reached whom it was sent to. */
  | { readonly fate: 'delivered' }

/** The tables that iptables has, with their built-in chains. */
export const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  raw: ['PREROUTING', 'OUTPUT'],
}

/** The rule sets of one network namespace. */
export interface FakeKernel {
  readonly iptables: Map<string, FakeTable>
  readonly nft: Map<string, Map<string, FakeNftChain>>
  readonly policy: FakeRoutingPolicy
  table(kind: FakeKind, family: Family, name: string): FakeTable
  nextHandle(): number
  /** What becomes of a packet, counting on the rules that it meets. */
  send(packet: FakePacket): FakeFate
}

export function createFakeKernel(): FakeKernel {
  let handle = 0
  const kernel: FakeKernel = {
    nextHandle() {
      handle += 1
      return handle
    },
    iptables: new Map(),
    nft: new Map(),
    policy: createFakeRoutingPolicy(),
    table(kind, family, name) {
      const key = `${kind}/${family}/${name}`
      const known = kernel.iptables.get(key)
      if (known !== undefined) return known
      const table: FakeTable = { chains: new Map((BUILT_IN[name] ?? []).map((chain) => [chain, []])) }
      kernel.iptables.set(key, table)
      return table
    },
    send: (packet) => deliver(kernel, packet),
  }
  return kernel
}

/** A rule as iptables would store it: its own order and masks where it is of our vocabulary, as written where not. */
export function storedRule(words: readonly string[]): FakeRule {
  const text = words.map((word) => (/^[\w.:/+!@%=,[\]-]+$/.test(word) ? word : quoted(word))).join(' ')
  const parsed = parseRule(text)
  if (parsed.other !== undefined) return { text, rule: parsed, packets: 0 }
  const masked: Rule = {
    ...parsed,
    ...(parsed.source !== undefined && { source: withMask(parsed.source) }),
    ...(parsed.destination !== undefined && { destination: withMask(parsed.destination) }),
  }
  const printed = ruleArgs(masked)
    .map((word) =>
      /^[\w./+!,[\]-]+$|^\d[\w.:]*$|^\[|^[\da-f]*:[\da-f:/]+$/.test(word) ? word : quoted(word),
    )
    .join(' ')
  return { text: printed, rule: parsed, packets: 0 }
}

/** As xtables_save_string does. */
const quoted = (word: string): string => `"${word.replaceAll(/["'\\]/g, '\\$&')}"`

const withMask = (address: string): string =>
  address.includes('/') ? address : `${address}/${address.includes(':') ? 128 : 32}`

function deliver(kernel: FakeKernel, packet: FakePacket): FakeFate {
  const family: Family = isIpv6(parseIpAddress(packet.destination)) ? 6 : 4
  const redirect = packet.established === true ? undefined : natVerdict(kernel, packet, family)
  // After NAT the packet is addressed to the agent, and is judged by that.
  const after =
    redirect === undefined
      ? packet
      : { ...packet, destination: redirect.address, port: redirect.port, local: true }
  for (const chain of filterChains(kernel, 'prerouting'))
    if (walkNft(chain, after)?.kind === 'drop') return { fate: 'dropped' }
  // The table of the node's own addresses comes first; what is in it is not asked of the rules behind it.
  if (after.local !== true && isStopped(kernel.policy[family], after)) return { fate: 'dropped' }
  const hook = after.local === true ? 'INPUT' : 'FORWARD'
  for (const kind of ['nft', 'legacy'] as const) {
    for (const table of ['mangle', 'filter']) {
      const chains = kernel.iptables.get(`${kind}/${family}/${table}`)?.chains
      if (chains !== undefined && walk(chains, hook, after)?.kind === 'drop') return { fate: 'dropped' }
    }
  }
  for (const chain of filterChains(kernel, hook === 'INPUT' ? 'input' : 'forward'))
    if (walkNft(chain, after)?.kind === 'drop') return { fate: 'dropped' }
  return redirect === undefined ? { fate: 'delivered' } : { fate: 'redirected', ...redirect }
}

/** Those before routing are taken to come after NAT (-100), where ours is. */
const filterChains = (kernel: FakeKernel, hook: BaseChain['hook']): FakeNftChain[] =>
  [...kernel.nft.values()]
    .flatMap((chains) => [...chains.values()])
    .filter(({ base }) => base?.type === 'filter' && base.hook === hook)

function natVerdict(
  kernel: FakeKernel,
  packet: FakePacket,
  family: Family,
): { address: string; port: number } | undefined {
  const natives = [...kernel.nft.values()]
    .flatMap((chains) => [...chains.values()])
    .filter(({ base }) => base?.type === 'nat' && base.hook === 'prerouting')
    .map((chain) => ({ priority: chain.base?.priority ?? 0, run: () => walkNft(chain, packet) }))
  const shared = (['nft', 'legacy'] as const).flatMap((kind) => {
    const chains = kernel.iptables.get(`${kind}/${family}/nat`)?.chains
    return chains === undefined ? [] : [{ priority: -100, run: () => walk(chains, 'PREROUTING', packet) }]
  })
  for (const { run } of [...natives, ...shared].toSorted((a, b) => a.priority - b.priority)) {
    const verdict = run()
    if (verdict?.kind === 'dnat') return { address: verdict.address, port: verdict.port }
  }
  return undefined
}

/** The verdict of an iptables chain; `undefined` when it fell through to the policy, which is ACCEPT. */
function walk(
  chains: ReadonlyMap<string, FakeRule[]>,
  name: string,
  packet: FakePacket,
  above: readonly string[] = [],
): Rule['target'] | undefined {
  for (const stored of chains.get(name) ?? []) {
    if (!matches(stored.rule, packet)) continue
    // The kernel takes no rule that closes a loop (ELOOP), so a packet never goes round one.
    if (stored.rule.target.kind === 'jump' && [...above, name].includes(stored.rule.target.chain)) continue
    stored.packets += 1
    const { target } = stored.rule
    if (target.kind === 'return') return undefined
    if (target.kind === 'jump') {
      const verdict = walk(chains, target.chain, packet, [...above, name])
      if (verdict !== undefined) return verdict
    } else if (target.kind !== 'other') return target
  }
  return undefined
}

function walkNft(chain: FakeNftChain, packet: FakePacket): Rule['target'] | undefined {
  for (const stored of chain.rules) {
    const rule = parseNftRule(stored.json)
    if (!matches(rule, packet)) continue
    stored.packets += 1
    if (rule.target.kind === 'return') return undefined
    if (rule.target.kind !== 'other') return rule.target
  }
  return undefined
}

function matches(rule: Rule, packet: FakePacket): boolean {
  // What is not understood does not match: foreign rules of the fake speak our vocabulary or do nothing.
  if (rule.other !== undefined) return false
  if (rule.source !== undefined && !parseCidr(rule.source).contains(parseIpAddress(packet.source)))
    return false
  if (
    rule.destination !== undefined &&
    !parseCidr(rule.destination).contains(parseIpAddress(packet.destination))
  )
    return false
  if (rule.protocol !== undefined && rule.protocol !== (packet.protocol ?? 'tcp')) return false
  if (rule.destinationPort !== undefined && rule.destinationPort !== (packet.port ?? 80)) return false
  if (rule.inInterface === undefined) return true
  const { name, negated } = rule.inInterface
  const same = name.endsWith('+')
    ? packet.inInterface.startsWith(name.slice(0, -1))
    : packet.inInterface === name
  return same !== negated
}
