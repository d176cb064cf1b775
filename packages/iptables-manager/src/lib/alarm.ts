import type { Clock } from '@kube2iam-ts/core'
import type { LookReason } from './events.ts'

export interface Ring {
  readonly reason: LookReason
  readonly changedBy?: string
}

/** What wakes the loop: a change somebody told of, or time. */
export interface Alarm {
  /** Wakes the waiter now, or the next one at once if nobody waits: no change is lost while the loop is busy. */
  ring(ring: Ring): void
  /** Resolves when it rings, or with `poll` after the interval. */
  wait(intervalMs: number): Promise<Ring>
}

/** The more a reason asks for, the earlier in this list. */
const WEIGHT: readonly LookReason[] = ['start', 'settings', 'asked', 'monitor', 'poll']

export function createAlarm(clock: Clock): Alarm {
  let pending: Ring | undefined
  let wake: (() => void) | undefined
  return {
    ring(ring) {
      if (pending === undefined || WEIGHT.indexOf(ring.reason) < WEIGHT.indexOf(pending.reason))
        pending = ring
      wake?.()
    },
    wait: (intervalMs) =>
      new Promise((resolve) => {
        const finish = (): void => {
          cancel()
          wake = undefined
          const ring = pending ?? { reason: 'poll' }
          pending = undefined
          resolve(ring)
        }
        const cancel = clock.after(intervalMs, finish)
        wake = finish
        if (pending !== undefined) finish()
      }),
  }
}
