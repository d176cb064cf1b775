import { type Clock, sleepOn } from './clock.ts'
import { createTimerHeap, type HeapTimer } from './timer-heap.ts'

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
  /** When the next timer fires, in `monotonic()` terms; `undefined` if none is pending. */
  readonly nextAt: number | undefined
}

export interface FakeClockOptions {
  /**
   * When what a timer woke gets its turn. `timer` (the default): after each timer, three turns of the event loop, so
   * that also answers from loopback sockets and chains of immediates arrive. `instant`: one turn after all timers of
   * one instant, which drains every promise and nothing else; for simulations with very many timers.
   */
  settle?: 'timer' | 'instant'
  /** Aborted: `advance` throws its reason before the next timer, so that a long simulation can be left. */
  signal?: AbortSignal
}

/** Makes a clock that starts at `startAt` (2026-01-01T00:00:00Z unless told). */
export function createFakeClock(
  startAt: Date = new Date('2026-01-01T00:00:00Z'),
  { settle: granularity = 'timer', signal: left }: FakeClockOptions = {},
): FakeClock {
  let now = startAt.getTime()
  let skew = 0
  let order = 0
  const timers = createTimerHeap()
  const watchers = new Set<() => void>()
  const settle = () => turns(granularity === 'timer' ? 3 : 1)

  const clock: FakeClock = {
    now: () => now + skew,
    monotonic: () => now,
    after(ms, callback) {
      order += 1
      // As setTimeout: what is no number, or no longer in the future, is due at once.
      const timer: HeapTimer = { at: ms > 0 ? now + ms : now, order, callback, cancelled: false }
      timers.add(timer)
      for (const watcher of watchers) watcher()
      return () => timers.cancel(timer)
    },
    sleep: (ms, signal) => sleepOn(clock, ms, signal),
    async advance(ms) {
      const until = now + ms
      await settle()
      left?.throwIfAborted()
      for (let due = timers.peek(); due !== undefined && due.at <= until; due = timers.peek()) {
        timers.take()
        now = Math.max(now, due.at)
        due.callback()
        const next = granularity === 'instant' ? timers.peek() : undefined
        if (next === undefined || next.at > now) await settle()
        left?.throwIfAborted()
      }
      now = Math.max(now, until)
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
      return timers.peek()?.at
    },
  }
  return clock
}

/** Lets promise chains run: a macrotask turn comes after every microtask that is due. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}
