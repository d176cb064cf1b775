import type { Capture, FamilyCapture } from './capture-rules.ts'
import type { BaseChain, DesiredTable, TableId } from './plan.ts'
import { type Owner, ownComment, type Rule } from './rule.ts'
import { FAMILIES, type Family } from './settings.ts'

/** Chains of ours in iptables. */
export const REDIRECT_CHAIN = 'KUBE2IAM-REDIRECT'
export const GUARD_CHAIN = 'KUBE2IAM-GUARD'

/** `block` sets up the guard and leaves a redirect, if there is one, as it is. */
export type CaptureMode = 'redirect' | 'block'

export interface LayoutInput {
  readonly capture: Capture
  readonly owner: Owner
  readonly mode: CaptureMode
  /** For which families rules can be made, and whether destination NAT is possible there. */
  readonly families: Readonly<
    Record<Family, { readonly available: boolean; readonly nat: boolean; readonly absent?: boolean }>
  >
}

const TABLE_FAMILY = { 4: 'ip', 6: 'ip6' } as const

/**
 * The capture as iptables tables, guards before redirects: what is applied first closes, what comes second leads to
 * the agent. The guard is in `mangle`, of which neither `iptables -F` nor a reload of kube-proxy takes notice.
 */
export function iptablesTables({ capture, owner, mode, families }: LayoutInput): DesiredTable[] {
  const present = FAMILIES.filter((family) => families[family].available)
  const guards = present.map((family) =>
    sharedTable(
      `${TABLE_FAMILY[family]}/mangle`,
      GUARD_CHAIN,
      ['FORWARD', 'INPUT'],
      capture[family],
      capture[family].guard,
      owner,
    ),
  )
  if (mode === 'block') return guards
  const redirects = present
    .filter((family) => families[family].nat)
    .map((family) =>
      sharedTable(
        `${TABLE_FAMILY[family]}/nat`,
        REDIRECT_CHAIN,
        ['PREROUTING'],
        capture[family],
        capture[family].redirect,
        owner,
      ),
    )
  return [...guards, ...redirects]
}

function sharedTable(
  id: TableId,
  chain: string,
  hooks: readonly string[],
  { scope, endpoints }: FamilyCapture,
  rules: readonly Rule[],
  owner: Owner,
): DesiredTable {
  const jump: Rule = {
    ...(scope !== undefined && { destination: scope }),
    comment: ownComment(owner, 'jump'),
    target: { kind: 'jump', chain },
  }
  return {
    id,
    chains: rules.length === 0 ? [] : [{ name: chain, rules }],
    jumps: rules.length === 0 ? [] : hooks.map((hook) => ({ hook, rule: jump })),
    ownChains: [chain],
    hooks,
    addresses: endpoints.map(({ address }) => address),
  }
}

// Before `dstnat` (-100), where kube-proxy and iptables have theirs: the first destination NAT that matches stays.
const REDIRECT_BASE: BaseChain = { type: 'nat', hook: 'prerouting', priority: -110 }
/** At `mangle` (-150), as the guard of iptables. */
const guardBase = (hook: 'forward' | 'input'): BaseChain => ({ type: 'filter', hook, priority: -150 })
/**
 * Right behind every destination NAT (-100): there it still sees, and counts, what the guard in the routing policy
 * would stop without counting before it is forwarded.
 */
const ARRIVAL_BASE: BaseChain = { type: 'filter', hook: 'prerouting', priority: -90 }

/** The capture as one nftables table of our own, for both families. */
export function nftTables({ capture, mode, families }: LayoutInput): DesiredTable[] {
  const present = FAMILIES.filter((family) => families[family].available)
  const redirect = mergeRules(present.map((family) => capture[family].redirect))
  const guard = mergeRules(present.map((family) => capture[family].guard))
  const guards = [
    { name: 'guard-prerouting', base: ARRIVAL_BASE, rules: guard },
    ...(['forward', 'input'] as const).map((hook) => ({
      name: `guard-${hook}`,
      base: guardBase(hook),
      rules: guard,
    })),
  ]
  return [
    {
      id: 'inet/kube2iam',
      chains: [
        ...(guard.length === 0 ? [] : guards),
        ...(mode === 'block' || redirect.length === 0
          ? []
          : [{ name: 'redirect', base: REDIRECT_BASE, rules: redirect }]),
      ],
      jumps: [],
      ownChains: [...guards.map(({ name }) => name), ...(mode === 'block' ? [] : ['redirect'])],
      hooks: [],
      addresses: [],
    },
  ]
}

/** One list for both families; the exception for `lo`, which each begins with, stands once. */
function mergeRules(lists: readonly (readonly Rule[])[]): Rule[] {
  const [exception] = lists.flatMap((list) => list.slice(0, 1))
  return exception === undefined ? [] : [exception, ...lists.flatMap((list) => list.slice(1))]
}
