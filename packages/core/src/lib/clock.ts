import { aborted } from './errors.ts'

/** Cancels a timer; calling it twice, or after the timer fired, does nothing. */
export type Cancel = () => void

/** Time as a collaborator: everything that waits or compares instants takes one of these. */
export interface Clock {
  /** Milliseconds since the epoch, as `Date.now()`. May jump when the machine's time is set. */
  now(): number
  /** Milliseconds from an arbitrary origin that never jump: for measuring how long something took. */
  monotonic(): number
  /** Calls back once after `ms` milliseconds. The timer keeps no process alive. */
  after(ms: number, callback: () => void): Cancel
  /** Resolves after `ms` milliseconds; rejects with `ABORTED` as soon as the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The largest delay that a Node timer takes; longer ones would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      timer = setTimeout(
        () => (left > LONGEST_TIMER_MS ? arm(left - LONGEST_TIMER_MS) : callback()),
        Math.min(Math.max(left, 0), LONGEST_TIMER_MS),
      )
      timer.unref()
    }
    arm(ms)
    return () => clearTimeout(timer)
  },
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
}

/** `Clock.sleep` in terms of `Clock.after`, shared by every implementation. */
export function sleepOn(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(signal))
      return
    }
    const onAbort = () => {
      cancel()
      reject(aborted(signal))
    }
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
