import { type CaptureSettings, endpointsOf, type Family } from './settings.ts'

/**
 * What the kernel notes as the origin of our rules, and the only thing by which they are told from others': rules of
 * the routing policy have no comment. Not one of the numbers in iproute2's `rt_protos`; the letter k.
 */
export const ROUTING_PROTOCOL = 107

/**
 * Behind the table of the node's own addresses (0, unless Cilium or the VPC CNI have moved it) and before everything
 * that leads pods' packets elsewhere: the VPC CNI's branch interfaces have 10, Cilium 9, 10, 100 and 110, Calico 99,
 * the VPC CNI 512, 1024 and 1536, Tailscale 5200. The numbers below are for rules that somebody adds without one: they
 * get the next number below the lowest.
 */
export const PREFERENCES = { pass: 6, stop: 7, rest: 8 } as const

/** Where the rules of a family are, as steps and events name it. */
export type RoutingTableId = 'ip/rule' | 'ip6/rule'
export const ROUTING_TABLE: Readonly<Record<Family, RoutingTableId>> = { 4: 'ip/rule', 6: 'ip6/rule' }

/** A rule as `ip rule` takes it, without our protocol: `pref 7 to 169.254.169.254 blackhole`. */
export type RoutingRule = string

/** One change of the routing policy. */
export interface RoutingStep {
  readonly op: 'add-routing-rule' | 'delete-routing-rule'
  readonly table: RoutingTableId
  readonly rule: RoutingRule
}

/**
 * The guard outside netfilter. What came in by an interface and still has a metadata address as its destination is not
 * routed, whatever somebody has flushed: a packet that was redirected has the agent's. What the node itself sends
 * (`iif lo`) is led past. In the order in which adding them never cuts the node itself off.
 */
export function routingRules(settings: CaptureSettings, family: Family): RoutingRule[] {
  if (!wantsRoutingGuard(settings)) return []
  const addresses = endpointsOf(settings)
    .filter((endpoint) => endpoint.family === family)
    .map(({ address }) => address)
  const { pass, stop, rest } = PREFERENCES
  return [
    ...addresses.map((address) => `pref ${rest} to ${address} nop`),
    ...addresses.map((address) => `pref ${pass} to ${address} iif lo goto ${rest}`),
    ...addresses.map((address) => `pref ${stop} to ${address} blackhole`),
  ]
}

/** The routing policy knows interfaces by their whole names only, so it cannot tell pods from others. */
export const wantsRoutingGuard = ({ guardRouting, guard }: CaptureSettings): boolean =>
  guardRouting !== false && guard !== 'pods'

/** From what is there of ours to what must be: additions, which close, and deletions, which open. */
export function planRouting(
  family: Family,
  desired: readonly RoutingRule[],
  observed: readonly RoutingRule[],
): RoutingStep[] {
  const table = ROUTING_TABLE[family]
  const missing = desired.filter((rule) => !observed.includes(rule))
  const gone = observed.filter((rule) => !desired.includes(rule))
  return [
    ...missing.map((rule): RoutingStep => ({ op: 'add-routing-rule', table, rule })),
    // What stops packets before what leads the node's own past it.
    ...gone
      .toSorted((a, b) => Number(b.endsWith(' blackhole')) - Number(a.endsWith(' blackhole')))
      .map((rule): RoutingStep => ({ op: 'delete-routing-rule', table, rule })),
  ]
}

/** Input for `ip -batch`, of one family. */
export const batchLines = (steps: readonly RoutingStep[]): string =>
  steps
    .map(
      ({ op, rule }) =>
        `rule ${op === 'add-routing-rule' ? 'add' : 'del'} ${rule} protocol ${ROUTING_PROTOCOL}\n`,
    )
    .join('')

/** A rule as `ip -json rule show` prints it: flat, and what is absent does not matter to it. */
type Json = Readonly<Record<string, string | number | null | undefined>>
const parse = (text: string): readonly Json[] =>
  JSON.parse(text.trim() === '' ? '[]' : text) as readonly Json[]
const isOurs = (rule: Json): boolean => String(rule['protocol']) === String(ROUTING_PROTOCOL)

/** Reads `ip -json rule show`: of all the node's rules ours, as text. */
export const parseRoutingRules = (text: string): RoutingRule[] => parse(text).filter(isOurs).map(ruleOf)

/**
 * Rules of others that a pod's packet may meet before ours. Those for packets with a mark are for packets that their
 * maker has seen before, and the table of the node's own addresses leads nothing onwards.
 */
export const parseRulesAhead = (text: string): RoutingRule[] =>
  parse(text)
    .filter(
      (rule) =>
        !isOurs(rule) &&
        Number(rule['priority']) < PREFERENCES.stop &&
        rule['fwmark'] === undefined &&
        rule['iif'] !== 'lo' &&
        rule['table'] !== undefined &&
        !['local', '255'].includes(String(rule['table'])),
    )
    .map(ruleOf)

/** What our rules never say, but one that somebody made under our number might; by it such a rule is deleted. */
function ruleOf(json: Json): RoutingRule {
  const { priority, src, srclen, dst, dstlen, fwmark, fwmask, iif, oif, table, action } = json
  const prefix = (address: Json[string], length: Json[string]): string =>
    length === undefined ? String(address) : `${String(address)}/${String(length)}`
  return [
    'not' in json ? 'not' : '',
    `pref ${String(priority)}`,
    src === undefined || src === 'all' ? '' : `from ${prefix(src, srclen)}`,
    dst === undefined || dst === 'all' ? '' : `to ${prefix(dst, dstlen)}`,
    fwmark === undefined ? '' : `fwmark ${String(fwmark)}${fwmask === undefined ? '' : `/${String(fwmask)}`}`,
    iif === undefined ? '' : `iif ${String(iif)}`,
    oif === undefined ? '' : `oif ${String(oif)}`,
    'goto' in json ? `goto ${String(json['goto'])}` : '',
    'nop' in json ? 'nop' : '',
    table === undefined ? '' : `lookup ${String(table)}`,
    action === undefined ? '' : String(action),
  ]
    .filter((words) => words !== '')
    .join(' ')
}

/** Whether a line of `ip monitor rule` is about a place where ours are. Others come and go with every pod. */
export const concernsRouting = (line: string): boolean => /^(?:Deleted )?[678]:/.test(line)
