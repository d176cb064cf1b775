import type { Report } from '@kube2iam-ts/core'
import type { CaptureEvent } from './events.ts'
import { createLifeSigns, targetsOf } from './life-signs.ts'
import type { OwnInstance } from './own-instance.ts'
import {
  type DesiredTable,
  type HasNoSay,
  latestOwner,
  type NetfilterStep,
  type Observed,
  plan,
} from './plan.ts'
import type { Reach, Reached } from './reach.ts'
import { compareOwners, type Owner } from './rule.ts'

/** To whom is yielded, and what is known of it. */
export interface Yielding {
  readonly owner: Owner
  readonly reached: Reached
}

/** What other instances on the node mean for this one: a later one that lives has the say. */
export interface OtherInstances {
  /**
   * As `plan`, and rules that lead to nobody are no reason to yield. `passedOver` remembers whose they are, for the rest
   * of a look. `elsewhere` reads the rules in the node's other backends, one after the other.
   */
  plan(
    tables: readonly DesiredTable[],
    observed: Observed,
    passedOver: Owner[],
    elsewhere: () => AsyncIterable<Observed>,
    signal?: AbortSignal,
  ): Promise<{ steps: readonly NetfilterStep[]; yieldedTo?: Yielding }>
  /** Whether rules in another backend may go: their writer came before us, or will not come back. `met` gets those that stay in doubt. */
  mayClear(observed: Observed, met: Owner[], signal?: AbortSignal): Promise<boolean>
  /** After all other backends were asked about: instances that were not met are forgotten. */
  cleared(met: readonly Owner[]): void
  /** Whether an instance that has the say may have died: look again soon. */
  readonly inDoubt: boolean
}

export interface OtherInstancesOptions {
  readonly own: OwnInstance
  readonly reach: Reach | undefined
  readonly report: Report<CaptureEvent>
}

export function createOtherInstances({ own, reach, report }: OtherInstancesOptions): OtherInstances {
  const heeded = createLifeSigns(reach)
  const inOthers = createLifeSigns(reach)

  /**
   * A later instance that uses another backend has a guard in our table of nftables all the same, and takes the redirect
   * out of it. Whoever put that back would have to do so again and again.
   */
  const laterElsewhere = async (
    observed: Observed,
    hasNoSay: HasNoSay,
    elsewhere: () => AsyncIterable<Observed>,
  ): Promise<{ owner: Owner; observed: Observed } | undefined> => {
    const owner = latestOwner(observed)
    if (owner === undefined || compareOwners(owner, own.owner()) <= 0 || hasNoSay(owner)) return undefined
    for await (const there of elsewhere())
      if (targetsOf(there, owner).length > 0) return { owner, observed: there }
    return undefined
  }

  return {
    async plan(tables, observed, passedOver, elsewhere, signal) {
      const hasNoSay: HasNoSay = (other) =>
        own.isFromTheFuture(other) || passedOver.some((one) => compareOwners(one, other) === 0)
      for (;;) {
        const { steps, yieldedTo } = plan(tables, observed, own.owner(), hasNoSay)
        const here = yieldedTo && { owner: yieldedTo, observed }
        const later =
          here ?? (steps.length > 0 ? await laterElsewhere(observed, hasNoSay, elsewhere) : undefined)
        heeded.keepOnly(later === undefined ? [] : [later.owner])
        if (later === undefined) return { steps }
        const { reached, dead } = await heeded.check(later.owner, later.observed, signal)
        if (!dead) return { steps: [], yieldedTo: { owner: later.owner, reached } }
        passedOver.push(later.owner)
        report({ type: 'capture-taken-over', instance: later.owner.instance })
      }
    },

    async mayClear(observed, met, signal) {
      const latest = latestOwner(observed)
      if (latest === undefined) return false
      if (compareOwners(latest, own.owner()) <= 0 || own.isFromTheFuture(latest)) return true
      met.push(latest)
      return (await inOthers.check(latest, observed, signal)).dead
    },

    cleared: (met) => inOthers.keepOnly(met),

    get inDoubt() {
      return heeded.inDoubt || inOthers.inDoubt
    },
  }
}
