import type { Clock } from '@kube2iam-ts/core'
import { sleepOn } from '@kube2iam-ts/core'

/** A clock for one process of the simulation: when the process dies, its timers die with it. */
export interface KillableClock {
  readonly clock: Clock
  kill(): void
}

export function createKillableClock(world: Clock): KillableClock {
  let alive = true
  const clock: Clock = {
    now: () => world.now(),
    monotonic: () => world.monotonic(),
    after: (ms, callback) =>
      alive
        ? world.after(ms, () => {
            if (alive) callback()
          })
        : () => {},
    sleep: (ms, signal) => sleepOn(clock, ms, signal),
  }
  return {
    clock,
    kill: () => {
      alive = false
    },
  }
}
