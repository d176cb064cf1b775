import type { Clock } from '@kube2iam-ts/core'

export interface TokenBucketOptions {
  clock: Clock
  /** Calls a second that the bucket lets through for ever, while nobody throttles. */
  ratePerSecond: number
  /** Calls that it lets through at once after a rest. */
  burst: number
}

/**
 * A node's budget of STS calls. STS throttles per account and region, so all nodes share one allowance that none of
 * them can see: after a throttled answer the rate is halved, and every success gives a little back.
 */
export interface TokenBucket {
  /** Takes a token if there is one. */
  take(): boolean
  /** Until a token will be there; 0 if one is. */
  waitMs(): number
  throttled(): void
  succeeded(): void
  readonly ratePerSecond: number
}

const SLOWEST = 0.2
const GIVEN_BACK = 0.1
/** One burst of throttled answers is one piece of news. */
const HALVE_EVERY_MS = 1_000

export function createTokenBucket({ clock, ratePerSecond, burst }: TokenBucketOptions): TokenBucket {
  let rate = ratePerSecond
  let tokens = burst
  let filledAt = clock.monotonic()
  let halvedAt = Number.NEGATIVE_INFINITY

  function fill(): void {
    const now = clock.monotonic()
    // A throttled node has lost its right to bursts too.
    const room = rate < ratePerSecond ? 1 : burst
    tokens = Math.min(room, tokens + ((now - filledAt) / 1000) * rate)
    filledAt = now
  }

  return {
    take() {
      fill()
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
    waitMs() {
      fill()
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / rate) * 1000)
    },
    throttled() {
      fill()
      tokens = 0
      const now = clock.monotonic()
      if (now - halvedAt < HALVE_EVERY_MS) return
      halvedAt = now
      rate = Math.max(SLOWEST, rate / 2)
    },
    succeeded() {
      fill()
      rate = Math.min(ratePerSecond, rate + GIVEN_BACK)
    },
    get ratePerSecond() {
      return rate
    },
  }
}
