import type { Clock, Random } from '@kube2iam-ts/core'

export type CircuitState = 'closed' | 'open' | 'half-open'

export interface CircuitBreakerOptions {
  clock: Clock
  random: Random
  /** Failures in a row that open it. */
  failures: number
  /** How long it stays open the first time; doubles with every failed probe. */
  openMs: number
  longestOpenMs: number
  changed: (state: CircuitState) => void
}

/**
 * Keeps a node from hammering an endpoint that is down: closed → (failures in a row) → open → (time) → half-open,
 * where one call probes → closed or open again.
 */
export interface CircuitBreaker {
  /** Whether a call may be made now. In half-open state the first who asks becomes the probe. */
  admit(): boolean
  /** Until a call may be tried; 0 if it may. */
  waitMs(): number
  succeeded(): void
  /** `retryAfterMs`: the server named the time itself. */
  failed(retryAfterMs?: number): void
  /** A probe ended without an answer that says anything (it was aborted). */
  released(): void
  readonly state: CircuitState
  /** The last call that said anything succeeded. */
  readonly healthy: boolean
}

/** No server can silence a node for longer. */
const LONGEST_RETRY_AFTER_MS = 5 * 60_000

export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { clock, random, failures, openMs, longestOpenMs, changed } = options
  let state: CircuitState = 'closed'
  let inARow = 0
  let opened = 0
  let until = 0
  let probing = false

  function become(next: CircuitState): void {
    if (state === next) return
    state = next
    changed(next)
  }
  function open(atLeastMs: number): void {
    const bound = Math.min(longestOpenMs, openMs * 2 ** Math.min(opened, 20))
    opened += 1
    // Half fixed, half jitter: nodes that lost STS together do not probe together.
    until = clock.monotonic() + Math.max(atLeastMs, bound / 2 + (random() * bound) / 2)
    become('open')
  }

  return {
    admit() {
      if (state === 'closed') return true
      if (state === 'open' && clock.monotonic() >= until) become('half-open')
      if (state !== 'half-open' || probing) return false
      probing = true
      return true
    },
    waitMs() {
      if (state === 'closed') return 0
      if (probing) return Math.max(1, openMs / 2)
      return Math.max(0, until - clock.monotonic())
    },
    succeeded() {
      probing = false
      inARow = 0
      opened = 0
      become('closed')
    },
    failed(retryAfterMs = 0) {
      const probe = probing
      probing = false
      inARow += 1
      // Calls that were under way when it opened say nothing new.
      if (state === 'open') return
      if (probe || retryAfterMs > 0 || inARow >= failures) {
        open(Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS))
      }
    },
    released() {
      probing = false
    },
    get state() {
      return state
    },
    get healthy() {
      return inARow === 0
    },
  }
}
