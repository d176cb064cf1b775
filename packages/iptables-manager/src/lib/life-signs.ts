import type { Observed } from './plan.ts'
import type { Reach, Reached } from './reach.ts'
import { type Owner, ownerOf } from './rule.ts'

/** At so many looks in a row nobody must listen: an agent that is being started again in place is back by then. */
const REFUSALS = 3

/** What is known of an instance whose rules are there. */
export interface LifeSign {
  readonly reached: Reached
  /** It was refused often enough to be taken for dead. */
  readonly dead: boolean
}

/** Whether instances whose rules are obeyed are still there: whoever was killed leaves its rules behind. */
export interface LifeSigns {
  /** Tries to reach what the instance's rules lead to. */
  check(owner: Owner, observed: Observed, signal?: AbortSignal): Promise<LifeSign>
  /** Forgets every other instance, and this one too if it is not given. */
  keepOnly(owners: readonly Owner[]): void
  /** Whether somebody was refused and is not taken for dead yet: look again soon. */
  readonly inDoubt: boolean
}

/** Without `reach` nobody is ever found dead. */
export function createLifeSigns(reach: Reach | undefined): LifeSigns {
  const refusals = new Map<string, number>()
  return {
    async check(owner, observed, signal) {
      if (reach === undefined) return { reached: 'unknown', dead: false }
      const tried = await Promise.all(
        targetsOf(observed, owner).map(({ address, port }) => reach(address, port, signal)),
      )
      const reached = verdict(tried)
      const count = reached === 'refused' ? (refusals.get(keyOf(owner)) ?? 0) + 1 : 0
      const dead = count >= REFUSALS
      // One that is passed over and is there all the same writes its rules again, and gets as many chances.
      if (count === 0 || dead) refusals.delete(keyOf(owner))
      else refusals.set(keyOf(owner), count)
      return { reached, dead }
    },
    keepOnly(owners) {
      const kept = new Set(owners.map(keyOf))
      for (const key of refusals.keys()) if (!kept.has(key)) refusals.delete(key)
    },
    get inDoubt() {
      return refusals.size > 0
    },
  }
}

const keyOf = ({ instance, startedAt }: Owner): string => `${instance}:${startedAt}`

function verdict(tried: readonly Reached[]): Reached {
  if (tried.includes('answered')) return 'answered'
  return tried.length > 0 && tried.every((one) => one === 'refused') ? 'refused' : 'unknown'
}

/** Where the instance's rules lead. */
export function targetsOf(observed: Observed, owner: Owner): { address: string; port: number }[] {
  const targets = new Map<string, { address: string; port: number }>()
  for (const chains of observed.values())
    for (const { rules } of chains.values())
      for (const rule of rules) {
        const writer = ownerOf(rule)
        if (rule.target.kind !== 'dnat' || writer === undefined || keyOf(writer) !== keyOf(owner)) continue
        const { address, port } = rule.target
        targets.set(`${address} ${port}`, { address, port })
      }
  return [...targets.values()]
}
