import { CodedError, type Report } from '@kube2iam-ts/core'
import type { NetfilterBackend } from './backend.ts'
import type { NetfilterErrorCode } from './errors.ts'
import type { CaptureEvent } from './events.ts'
import type { NodeSetup } from './node-setup.ts'
import type { OtherInstances } from './other-instances.ts'
import type { OwnInstance } from './own-instance.ts'
import {
  type DesiredTable,
  emptied,
  type NetfilterStep,
  type Observed,
  planRemoval,
  type Step,
  summaryOf,
} from './plan.ts'
import type { RoutingGuard } from './routing-guard.ts'
import type { Owner } from './rule.ts'

/** Taking rules of ours away: everywhere, or where a backend is not the chosen one. */
export interface RuleRemoval {
  /** Takes away what earlier instances of ours left in backends that are not the chosen one. */
  sweep(node: NodeSetup, signal?: AbortSignal): Promise<readonly Step[]>
  /** Takes away everything of ours in every backend. */
  remove(node: NodeSetup, signal?: AbortSignal): Promise<readonly Step[]>
  /** What `remove` would do, doing nothing. */
  plan(node: NodeSetup, signal?: AbortSignal): Promise<readonly Step[]>
}

export interface RuleRemovalOptions {
  readonly own: OwnInstance
  readonly others: OtherInstances
  readonly routing: RoutingGuard
  /** All tables in which rules of ours may be. */
  readonly tablesIn: (backend: NetfilterBackend, signal?: AbortSignal) => Promise<readonly DesiredTable[]>
  readonly report: Report<CaptureEvent>
}

export function createRuleRemoval({
  own,
  others,
  routing,
  tablesIn,
  report,
}: RuleRemovalOptions): RuleRemoval {
  const planIn = async (
    backend: NetfilterBackend,
    signal?: AbortSignal,
    onlyIf?: (observed: Observed) => Promise<boolean>,
  ): Promise<readonly NetfilterStep[]> => {
    const full = await tablesIn(backend, signal)
    if (onlyIf !== undefined && !(await onlyIf(await backend.observe(full, signal)))) return []
    const tables = emptied(full)
    return planRemoval(tables, await backend.observe(tables, signal), own.owner())
  }

  const clear = async (
    backend: NetfilterBackend,
    signal?: AbortSignal,
    onlyIf?: (observed: Observed) => Promise<boolean>,
  ): Promise<readonly NetfilterStep[]> => {
    const steps = await planIn(backend, signal, onlyIf)
    await backend.apply(steps, signal)
    return steps
  }

  return {
    async sweep(node, signal) {
      const swept: Step[] = []
      const met: Owner[] = []
      for (const backend of node.others)
        swept.push(...(await clear(backend, signal, (observed) => others.mayClear(observed, met, signal))))
      others.cleared(met)
      if (swept.length > 0) report({ type: 'capture-swept', ...summaryOf(swept) })
      return swept
    },

    async remove({ backend, others: rest, support }, signal) {
      const removed: Step[] = []
      for (const each of [backend, ...rest]) removed.push(...(await clear(each, signal)))
      const { steps } = await routing.plan('remove', support, signal)
      if (!(await routing.apply(steps, signal))) throw notRemoved(steps)
      removed.push(...steps)
      report({ type: 'capture-removed', ...summaryOf(removed) })
      return removed
    },

    async plan({ backend, others: rest, support }, signal) {
      const planned: Step[] = []
      for (const each of [backend, ...rest]) planned.push(...(await planIn(each, signal)))
      return [...planned, ...(await routing.plan('remove', support, signal)).steps]
    },
  }
}

const notRemoved = (steps: readonly Step[]): CodedError<NetfilterErrorCode> =>
  new CodedError('IPTABLES_FAILED', 'rules of the routing policy cannot be removed: see `ip rule`', {
    retryable: true,
    detail: summaryOf(steps),
  })
