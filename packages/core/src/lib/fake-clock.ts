import { type Cancel, type Clock, sleepOn } from './clock.ts'

interface Timer {
  at: number
  order: number
  callback: () => void
}

/** A clock that stands still until it is moved. */
export interface FakeClock extends Clock {
  /**
   * Moves time on, firing the timers that fall due in order, and lets everything that they woke run to rest before
   * the next. Resolves when time has arrived.
   */
  advance(ms: number): Promise<void>
  /** Resolves as soon as at least `count` timers are pending: the code under test is waiting. */
  waiting(count?: number): Promise<void>
  /** Sets the wall clock without firing anything, as an administrator or NTP would. */
  jump(ms: number): void
  /** How many timers are pending: 0 after everything was stopped. */
  readonly pending: number
  /** When the next timer fires, in `now()` terms without jumps; `undefined` if none is pending. */
  readonly nextAt: number | undefined
}

/** Makes a clock that starts at `startAt` (2026-01-01T00:00:00Z unless told). */
export function createFakeClock(startAt: Date = new Date('2026-01-01T00:00:00Z')): FakeClock {
  let now = startAt.getTime()
  let skew = 0
  let order = 0
  const timers = new Set<Timer>()
  const watchers = new Set<() => void>()
  const next = (): Timer | undefined => [...timers].sort((a, b) => a.at - b.at || a.order - b.order)[0]

  const clock: FakeClock = {
    now: () => now + skew,
    monotonic: () => now,
    after(ms, callback): Cancel {
      order += 1
      const timer: Timer = { at: now + Math.max(ms, 0), order, callback }
      timers.add(timer)
      for (const watcher of watchers) watcher()
      return () => timers.delete(timer)
    },
    sleep: (ms, signal) => sleepOn(clock, ms, signal),
    async advance(ms) {
      const until = now + ms
      await settle()
      for (let due = next(); due !== undefined && due.at <= until; due = next()) {
        timers.delete(due)
        now = Math.max(now, due.at)
        due.callback()
        await settle()
      }
      now = until
      await settle()
    },
    waiting(count = 1) {
      if (timers.size >= count) return Promise.resolve()
      return new Promise((resolve) => {
        const watcher = () => {
          if (timers.size < count) return
          watchers.delete(watcher)
          resolve()
        }
        watchers.add(watcher)
      })
    },
    jump(ms) {
      skew += ms
    },
    get pending() {
      return timers.size
    },
    get nextAt() {
      return next()?.at
    },
  }
  return clock
}

/** Lets promise chains run: a macrotask turn comes after every microtask that is due. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}
