import type { CaptureSource } from './capture-rules.ts'
import type { Observed } from './plan.ts'
import { type ObservedRule, ownerOf } from './rule.ts'
import type { Look } from './rule-keeper.ts'
import { type BackendName, FAMILIES, type Family } from './settings.ts'
import type { ResolvedSources } from './sources.ts'

/** What the kernel counted on our rules since they were last written. */
export interface CaptureCounters {
  /** New connections that were led to the agent. */
  readonly redirected: number
  /** Packets that came past the redirect and were dropped. */
  readonly dropped: number
}

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
  readonly backend?: BackendName
  readonly backendEvidence?: string
  /** What becomes of a pod's packet to the metadata address of that family. */
  readonly families: Readonly<Record<Family, 'redirected' | 'dropped' | 'unprotected'>>
  /** Why a family is not redirected. */
  readonly familyReasons: Readonly<Partial<Record<Family, string>>>
  readonly sources: readonly CaptureSource[]
  readonly sourcesEvidence: readonly string[]
  readonly warning?: ResolvedSources['warning']
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
  sources: [],
  sourcesEvidence: [],
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
  const { setup, observed, applied, yieldedTo } = look
  const repaired = applied.length > 0
  const lastRepairAt = repaired ? now : before.lastRepairAt
  return {
    state: yieldedTo === undefined ? 'in-place' : 'yielded',
    backend: setup.backend.name,
    backendEvidence: setup.evidence,
    families: Object.fromEntries(
      FAMILIES.map((family) => [family, fate(observed, family)]),
    ) as CaptureStatus['families'],
    familyReasons: Object.fromEntries(
      FAMILIES.flatMap((family) => {
        const { reason } = setup.support[family]
        return reason === undefined ? [] : [[family, reason]]
      }),
    ),
    sources: found?.sources ?? [],
    sourcesEvidence: found?.evidence ?? [],
    ...(found?.warning && { warning: found.warning }),
    counters: countersOf(observed),
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

function fate(observed: Observed, family: Family): 'redirected' | 'dropped' | 'unprotected' {
  const rules = ownRules(observed).filter(({ destination }) => destination?.includes(':') === (family === 6))
  if (rules.some(({ target }) => target.kind === 'dnat')) return 'redirected'
  return rules.some(({ target }) => target.kind === 'drop') ? 'dropped' : 'unprotected'
}

export function countersOf(observed: Observed): CaptureCounters {
  const total = (kind: 'dnat' | 'drop'): number =>
    ownRules(observed)
      .filter(({ target }) => target.kind === kind)
      .reduce((sum, { packets }) => sum + packets, 0)
  return { redirected: total('dnat'), dropped: total('drop') }
}
