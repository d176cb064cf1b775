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
 * them can see: after a throttled answer the rate is halved, and given back slowly while calls succeed.
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

/** Calls a second that are left to a node however often it is throttled. */
const SLOWEST = 0.2
/** Added to the rate for each second that has a success: in time and not per call, or recovery would be a stampede. */
const GIVEN_BACK = 0.02
/** Many answers in one second are one piece of news. */
const NEWS_EVERY_MS = 1_000

export function createTokenBucket({ clock, ratePerSecond, burst }: TokenBucketOptions): TokenBucket {
  let rate = ratePerSecond
  let tokens = burst
  let filledAt = clock.monotonic()
  let halvedAt = Number.NEGATIVE_INFINITY
  let raisedAt = Number.NEGATIVE_INFINITY

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
      if (now - halvedAt < NEWS_EVERY_MS) return
      halvedAt = now
      rate = Math.max(SLOWEST, rate / 2)
    },
    succeeded() {
      const now = clock.monotonic()
      if (rate >= ratePerSecond || now - raisedAt < NEWS_EVERY_MS) return
      fill()
      raisedAt = now
      rate = Math.min(ratePerSecond, rate + GIVEN_BACK)
    },
    get ratePerSecond() {
      return rate
    },
  }
}
