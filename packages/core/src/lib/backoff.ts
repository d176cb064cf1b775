import type { Clock } from './clock.ts'

/** A number in [0, 1), as `Math.random`. Injected wherever jitter or sampling is needed. */
export type Random = () => number

export interface BackoffOptions {
  clock: Clock
  random: Random
  /** The first wait's upper bound. */
  baseMs: number
  /** No wait's upper bound is above this. */
  maxMs: number
}

export interface Backoff {
  /** Waits before the next attempt; each wait's bound is twice the last. `atLeastMs` honours a `Retry-After`. */
  wait(signal?: AbortSignal, atLeastMs?: number): Promise<void>
  /** After a success: the next wait is short again. */
  reset(): void
  /** How many waits since the last reset. */
  readonly attempts: number
}

/**
 * Exponential back-off with full jitter: each wait is uniform in [0, bound), so that nodes that failed together
 * do not return together.
 */
export function createBackoff({ clock, random, baseMs, maxMs }: BackoffOptions): Backoff {
  let attempts = 0
  return {
    async wait(signal, atLeastMs = 0) {
      const bound = Math.min(maxMs, baseMs * 2 ** attempts)
      attempts += 1
      await clock.sleep(atLeastMs + random() * bound, signal)
    },
    reset() {
      attempts = 0
    },
    get attempts() {
      return attempts
    },
  }
}
