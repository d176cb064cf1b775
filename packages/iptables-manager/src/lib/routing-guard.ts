import { isCoded, type Report } from '@kube2iam-ts/core'
import type { Support } from './backend.ts'
import type { CommandRunner } from './command-runner.ts'
import type { CaptureEvent } from './events.ts'
import {
  batchLines,
  parseRoutingRules,
  parseRulesAhead,
  planRouting,
  ROUTING_TABLE,
  type RoutingRule,
  type RoutingStep,
  routingRules,
  wantsRoutingGuard,
} from './routing-rules.ts'
import { type CaptureSettings, FAMILIES, type Family } from './settings.ts'

/**
 * What is known of the guard in the routing policy, of one family.
 *
 * - `in-place`, `missing`: as the look found it
 * - `unavailable`: kernel or `ip` refuse; the guards in netfilter stand alone
 * - `off`: not wanted
 * - `absent`: the node does not have the family
 */
export type RoutingState = 'in-place' | 'missing' | 'unavailable' | 'off' | 'absent'

export interface RoutingStatus {
  readonly families: Readonly<Record<Family, RoutingState>>
  /** Why it is unavailable. */
  readonly reason?: string
}

/**
 * - `keep`: what is wanted and nothing else of ours
 * - `add`: what is wanted, beside what an agent may have made already
 * - `remove`: nothing of ours
 */
export type RoutingAim = 'keep' | 'add' | 'remove'

export interface RoutingPlan {
  readonly steps: readonly RoutingStep[]
  readonly status: RoutingStatus
}

/** The guard in the routing policy. A refusal is told and shows in the status, and no call rejects for it: the guards in netfilter are there. */
export interface RoutingGuard {
  plan(aim: RoutingAim, support: Support, signal?: AbortSignal): Promise<RoutingPlan>
  /** Rules of others that a pod's packet may meet before ours. */
  ahead(signal?: AbortSignal): Promise<readonly RoutingRule[]>
  /** Resolves with whether all of it was done. */
  apply(steps: readonly RoutingStep[], signal?: AbortSignal): Promise<boolean>
}

export interface RoutingGuardOptions {
  readonly settings: CaptureSettings
  readonly runner: CommandRunner
  readonly report: Report<CaptureEvent>
}

interface Refusal {
  readonly refused: string
}

export function createRoutingGuard({ settings, runner, report }: RoutingGuardOptions): RoutingGuard {
  const wanted = wantsRoutingGuard(settings)
  /** Why the last change was refused; until a plan finds nothing to change any more. */
  let refusedChange: string | undefined
  let told: string | undefined

  const ip = async (
    family: Family,
    words: readonly string[],
    input: string,
    signal?: AbortSignal,
  ): Promise<string | Refusal> => {
    const args = [...(family === 6 ? ['-6'] : []), ...words]
    try {
      const { exitCode, stdout, stderr } = await runner.run('ip', args, { input, ...(signal && { signal }) })
      if (exitCode === 0) return stdout
      return { refused: `ip ${args.join(' ')}: ${stderr.trim().split('\n')[0] ?? `exit status ${exitCode}`}` }
    } catch (error) {
      if (!isCoded(error) || isCoded(error, 'ABORTED')) throw error
      return { refused: error.message }
    }
  }

  const observe = async (
    family: Family,
    signal?: AbortSignal,
    read = parseRoutingRules,
  ): Promise<readonly RoutingRule[] | Refusal> => {
    const printed = await ip(family, ['-json', 'rule', 'show'], '', signal)
    if (typeof printed !== 'string') return printed
    try {
      return read(printed)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      return { refused: 'ip does not print JSON: install the one of iproute2' }
    }
  }

  const planFamily = async (
    family: Family,
    aim: RoutingAim,
    support: Support,
    signal?: AbortSignal,
  ): Promise<{ steps: readonly RoutingStep[]; state: RoutingState; reason?: string }> => {
    if (support[family].absent === true) return { steps: [], state: 'absent' }
    const there = await observe(family, signal)
    if ('refused' in there)
      return wanted ? { steps: [], state: 'unavailable', reason: there.refused } : { steps: [], state: 'off' }
    const steps = planRouting(family, aim === 'remove' ? [] : routingRules(settings, family), there).filter(
      ({ op }) => aim !== 'add' || op === 'add-routing-rule',
    )
    if (!wanted) return { steps, state: 'off' }
    if (steps.length === 0) return { steps, state: 'in-place' }
    return refusedChange === undefined
      ? { steps, state: 'missing' }
      : { steps, state: 'unavailable', reason: refusedChange }
  }

  return {
    async plan(aim, support, signal) {
      const [v4, v6] = await Promise.all([
        planFamily(4, aim, support, signal),
        planFamily(6, aim, support, signal),
      ])
      const steps = [...v4.steps, ...v6.steps]
      if (steps.length === 0) refusedChange = undefined
      const reason = v4.reason ?? v6.reason
      if (reason !== undefined && reason !== told)
        report({ type: 'capture-routing-guard-unavailable', reason })
      told = reason
      return {
        steps,
        status: { families: { 4: v4.state, 6: v6.state }, ...(reason !== undefined && { reason }) },
      }
    },

    async ahead(signal) {
      const found = await Promise.all(FAMILIES.map((family) => observe(family, signal, parseRulesAhead)))
      return found.flatMap((rules) => ('refused' in rules ? [] : rules))
    },

    async apply(steps, signal) {
      for (const family of FAMILIES) {
        const own = steps.filter(({ table }) => table === ROUTING_TABLE[family])
        if (own.length === 0) continue
        const done = await ip(family, ['-batch', '-'], batchLines(own), signal)
        if (typeof done === 'string') continue
        refusedChange = done.refused
        return false
      }
      return true
    },
  }
}
