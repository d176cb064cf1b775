import type { Clock } from '@kube2iam-ts/core'
import type { FeedEvent } from './feed.ts'
import type { FeedName, RegistryEvent } from './registry-events.ts'

/** How far one feed is behind, as far as anybody can know. */
export interface FeedFreshness {
  readonly synced: boolean
  /** When the last event or bookmark came (`Clock.now`); `undefined` before the first. */
  readonly lastProgressAt: number | undefined
  /** Milliseconds since then; infinite before the first. */
  readonly ageMs: number
  /** Touch is lost, and nothing has been heard since. */
  readonly lost: boolean
  /** Nothing was heard for longer than the limit. */
  readonly stale: boolean
}

/** Keeps what is known of one feed's progress and reports its turns. */
export interface FeedProgress {
  note(event: FeedEvent<unknown>, corrected: number): void
  freshness(): FeedFreshness
  readonly synced: Promise<void>
}

export function createFeedProgress(
  feed: FeedName,
  clock: Clock,
  maxStalenessMs: number,
  report: (event: RegistryEvent) => void,
): FeedProgress {
  const startedAt = clock.monotonic()
  let isSynced = false
  let lastAt: number | undefined
  let lastMonotonic: number | undefined
  let lostAt: number | undefined
  const { promise, resolve } = Promise.withResolvers<void>()

  return {
    note(event, corrected) {
      if (event.kind === 'stale') {
        lostAt ??= clock.monotonic()
        report({ kind: 'feed-stale', feed, code: event.code, message: event.message })
        return
      }
      lastAt = clock.now()
      lastMonotonic = clock.monotonic()
      if (lostAt !== undefined) {
        if (isSynced) report({ kind: 'feed-recovered', feed, afterMs: lastMonotonic - lostAt })
        lostAt = undefined
      }
      if (event.kind !== 'snapshot') return
      if (isSynced) report({ kind: 'feed-relisted', feed, items: event.items.length, corrected })
      else {
        report({ kind: 'feed-synced', feed, items: event.items.length, tookMs: lastMonotonic - startedAt })
      }
      isSynced = true
      resolve()
    },
    freshness() {
      // Measured on the clock that does not jump: setting the time makes nothing stale, and nothing fresh.
      const ageMs = lastMonotonic === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() - lastMonotonic
      return {
        synced: isSynced,
        lastProgressAt: lastAt,
        ageMs,
        lost: lostAt !== undefined,
        stale: ageMs > maxStalenessMs,
      }
    },
    synced: promise,
  }
}
