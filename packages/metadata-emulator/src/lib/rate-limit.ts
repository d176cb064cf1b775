import type { Clock, IpAddress } from '@kube2iam-ts/core'

export interface RateLimiterOptions {
  readonly clock: Clock
  /** Tokens that a bucket regains in a second; 0 sets no limit. */
  readonly perSecond: number
  /** What a bucket holds. */
  readonly burst: number
}

export interface RateLimiter<Key = IpAddress> {
  /** Takes one token from the address's bucket; `false` if it is empty. */
  take(address: Key): boolean
  /** Buckets held. */
  readonly size: number
}

interface Bucket {
  tokens: number
  at: number
}

const PRUNE_ABOVE = 1024

/** A token bucket for each address, so that one pod's loop is nobody else's outage. */
export function createRateLimiter<Key = IpAddress>(options: RateLimiterOptions): RateLimiter<Key> {
  const { clock, perSecond, burst } = options
  const buckets = new Map<Key, Bucket>()
  let pruneAt = PRUNE_ABOVE
  const refill = (bucket: Bucket, now: number): number =>
    Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000)

  return {
    take(address) {
      if (perSecond === 0) return true
      const now = clock.monotonic()
      const bucket = buckets.get(address)
      if (bucket === undefined) {
        if (buckets.size >= pruneAt) {
          // A full bucket says nothing that its absence does not say.
          for (const [key, one] of buckets) if (refill(one, now) >= burst) buckets.delete(key)
          pruneAt = Math.max(PRUNE_ABOVE, buckets.size * 2)
        }
        buckets.set(address, { tokens: burst - 1, at: now })
        return true
      }
      bucket.tokens = refill(bucket, now)
      bucket.at = now
      if (bucket.tokens < 1) return false
      bucket.tokens -= 1
      return true
    },
    get size() {
      return buckets.size
    },
  }
}
