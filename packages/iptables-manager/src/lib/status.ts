import type { CaptureSource } from './capture-rules.ts'
import type { ResolvedSources } from './choose-sources.ts'
import type { Observed } from './plan.ts'
import type { ProbeResult } from './probe.ts'
import type { Reached } from './reach.ts'
import type { RoutingStatus } from './routing-guard.ts'
import { type ObservedRule, ownerOf } from './rule.ts'
import type { Look } from './rule-keeper.ts'
import { type BackendName, FAMILIES, type Family } from './settings.ts'

/** What the kernel counted on our rules since they were last written. */
export interface CaptureCounters {
  /** New connections that were led to the agent. */
  readonly redirected: number
  /** Packets that came past the redirect and were dropped. */
  readonly dropped: number
}

/** What is known of packets, beside the rules. */
export type Interception =
  | { readonly kind: 'unseen' }
  /** A pod's connection, or the probe's, was redirected. */
  | {
      readonly kind: 'proven'
      readonly by: 'counters' | 'probe'
      readonly at: number
      readonly evidence: string
    }
  /** A probe came past the redirect: rules are there and do not match. */
  | { readonly kind: 'disproved'; readonly by: 'probe'; readonly at: number; readonly evidence: string }

/** What is known of the rules: plain data, fit for JSON. */
export interface CaptureStatus {
  /**
   * - `unknown`: not looked yet
   * - `in-place`: the last look found every rule
   * - `yielded`: a later instance has its own rules in place, whole
   * - `incomplete`: the last look or its repair failed, see `problem`
   * - `removed`: taken away on purpose
   */
  readonly state: 'unknown' | 'in-place' | 'yielded' | 'incomplete' | 'removed'
  /** While `yielded`: to whom, and whether anybody listens where its rules lead. */
  readonly yieldedTo?: { readonly instance: string; readonly reached: Reached }
  readonly backend?: BackendName
  readonly backendEvidence?: string
  /** What becomes of a pod's packet to the metadata address of that family; `absent` where the node lacks the family. */
  readonly families: Readonly<Record<Family, 'redirected' | 'dropped' | 'absent' | 'unprotected'>>
  /** Why a family is not redirected. */
  readonly familyReasons: Readonly<Partial<Record<Family, string>>>
  /** The guard in the routing policy. */
  readonly routing: RoutingStatus
  readonly sources: readonly CaptureSource[]
  readonly sourcesEvidence: readonly string[]
  readonly warning?: ResolvedSources['warning']
  /** How many pods have no interface on the node, so that rules may never see their packets; absent where none has. */
  readonly podsApart?: number
  readonly interception: Interception
  readonly counters: CaptureCounters
  /** Milliseconds since the epoch. */
  readonly lastLookAt?: number
  readonly lastRepairAt?: number
  readonly repairs: number
  readonly monitored: boolean
  readonly problem?: { readonly code: string; readonly message: string }
}

export const NEVER_LOOKED: CaptureStatus = {
  state: 'unknown',
  families: { 4: 'unprotected', 6: 'unprotected' },
  familyReasons: {},
  routing: { families: { 4: 'missing', 6: 'missing' } },
  sources: [],
  sourcesEvidence: [],
  interception: { kind: 'unseen' },
  counters: { redirected: 0, dropped: 0 },
  repairs: 0,
  monitored: false,
}

/** The status after a look that went through. */
export function describeLook(
  before: CaptureStatus,
  look: Look,
  found: ResolvedSources | undefined,
  now: number,
): CaptureStatus {
  const { setup, observed, routing, applied, yieldedTo } = look
  const repaired = applied.length > 0
  const counters = countersOf(observed)
  const lastRepairAt = repaired ? now : before.lastRepairAt
  return {
    state: yieldedTo === undefined ? 'in-place' : 'yielded',
    ...(yieldedTo && { yieldedTo: { instance: yieldedTo.owner.instance, reached: yieldedTo.reached } }),
    backend: setup.backend.name,
    backendEvidence: setup.evidence,
    families: Object.fromEntries(
      FAMILIES.map((family) => [
        family,
        setup.support[family].absent === true ? 'absent' : fate(observed, routing, family),
      ]),
    ) as CaptureStatus['families'],
    familyReasons: Object.fromEntries(
      FAMILIES.flatMap((family) => {
        const { reason } = setup.support[family]
        return reason === undefined ? [] : [[family, reason]]
      }),
    ),
    routing,
    sources: found?.sources ?? [],
    sourcesEvidence: found?.evidence ?? [],
    ...(found?.warning && { warning: found.warning }),
    ...(found?.podsApart !== undefined && { podsApart: found.podsApart }),
    interception: byCounters(before, counters.redirected, now),
    counters,
    lastLookAt: now,
    ...(lastRepairAt !== undefined && { lastRepairAt }),
    repairs: before.repairs + (repaired ? 1 : 0),
    monitored: before.monitored,
  }
}

const ownRules = (observed: Observed): ObservedRule[] =>
  [...observed.values()].flatMap((chains) =>
    [...chains.values()].flatMap(({ rules }) => rules.filter((rule) => ownerOf(rule) !== undefined)),
  )

/** What the routing policy stops is stopped, whatever netfilter could do about it. */
function fate(
  observed: Observed,
  routing: RoutingStatus,
  family: Family,
): 'redirected' | 'dropped' | 'unprotected' {
  const rules = ownRules(observed).filter(({ destination }) => destination?.includes(':') === (family === 6))
  if (rules.some(({ target }) => target.kind === 'dnat')) return 'redirected'
  const guarded =
    routing.families[family] === 'in-place' || rules.some(({ target }) => target.kind === 'drop')
  return guarded ? 'dropped' : 'unprotected'
}

/** A family over which pods reach the node's metadata service although the rules are what they can be. */
export interface OpenWay {
  readonly family: Family
  readonly why: string
  readonly remedy: string
}

/** Ways that no guard of ours shuts. Where there is one, an agent that says that it works would lie. */
export function openWays({
  state,
  families,
  familyReasons,
}: Pick<CaptureStatus, 'state' | 'families' | 'familyReasons'>): readonly OpenWay[] {
  if (state === 'unknown' || state === 'removed') return []
  return FAMILIES.filter((family) => families[family] === 'unprotected').map((family) => {
    const reason = familyReasons[family]
    return {
      family,
      why: `pods reach the metadata service of the node over IPv${family}: ${reason ?? 'no rule of ours is there'}`,
      remedy:
        reason === undefined
          ? 'let the agent run with --iptables; see kube2iam iptables plan'
          : `give it nftables, or ip${family === 6 ? '6' : ''}tables with its mangle table, or leave --guard-routing on`,
    }
  })
}

export function countersOf(observed: Observed): CaptureCounters {
  const total = (kind: 'dnat' | 'drop'): number =>
    ownRules(observed)
      .filter(({ target }) => target.kind === kind)
      .reduce((sum, { packets }) => sum + packets, 0)
  return { redirected: total('dnat'), dropped: total('drop') }
}

/** A pod's connection on our redirect settles what no rule listing can. */
function byCounters(before: CaptureStatus, redirected: number, now: number): Interception {
  const { interception } = before
  const seenBefore = interception.kind === 'disproved' ? before.counters.redirected : 0
  if (interception.kind === 'proven' || redirected <= seenBefore) return interception
  return {
    kind: 'proven',
    by: 'counters',
    at: now,
    evidence: `${redirected} connections of pods were redirected`,
  }
}

/** What a probe settles. One that could not be made, or was lost on its way, settles nothing. */
export function byProbe(before: Interception, result: ProbeResult, now: number): Interception {
  switch (result.outcome) {
    case 'intercepted':
      return { kind: 'proven', by: 'probe', at: now, evidence: result.evidence }
    case 'dropped':
    case 'exposed':
      return { kind: 'disproved', by: 'probe', at: now, evidence: result.evidence }
    case 'lost':
    case 'impossible':
      return before
    default:
      return result satisfies never
  }
}
