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
  /** Before the event is applied: from here on the feed is as current as the event makes it. */
  note(event: FeedEvent<unknown>): void
  /** After a snapshot was applied. */
  applied(items: number, corrected: number): void
  freshness(): FeedFreshness
  isSynced(): boolean
  isStale(): boolean
  /** Not synced, out of touch, or silent for too long. */
  isBehind(): boolean
  /** Since the last event or bookmark; infinite before the first. */
  ageMs(): number
  /** The version that the feed has reached, where it tells versions. */
  readonly version: string | undefined
  readonly synced: Promise<void>
}

export function createFeedProgress(
  feed: FeedName,
  clock: Clock,
  maxStalenessMs: number,
  report: (event: RegistryEvent) => void,
): FeedProgress {
  const startedAt = clock.monotonic()
  let snapshots = 0
  let version: string | undefined
  let lastAt: number | undefined
  // Ages are measured on the clock that does not jump: setting the time makes nothing stale, and nothing fresh.
  let lastMonotonic = Number.NEGATIVE_INFINITY
  let lostAt: number | undefined
  const { promise, resolve } = Promise.withResolvers<void>()
  const isSynced = (): boolean => snapshots > 0
  const isStale = (): boolean => clock.monotonic() - lastMonotonic > maxStalenessMs

  return {
    note(event) {
      if (event.kind === 'stale') {
        lostAt ??= clock.monotonic()
        report({ kind: 'feed-stale', feed, code: event.code, message: event.message })
        return
      }
      if (lostAt !== undefined && isSynced()) {
        report({ kind: 'feed-recovered', feed, afterMs: clock.monotonic() - lostAt })
      }
      lostAt = undefined
      // A watch that stands again has not said anything yet: it is no proof that anything is current.
      if (event.kind === 'resumed') return
      lastAt = clock.now()
      lastMonotonic = clock.monotonic()
      version = event.version ?? version
      if (event.kind === 'snapshot') snapshots += 1
    },
    applied(items, corrected) {
      if (snapshots > 1) report({ kind: 'feed-relisted', feed, items, corrected })
      else report({ kind: 'feed-synced', feed, items, tookMs: clock.monotonic() - startedAt })
      resolve()
    },
    freshness: () => ({
      synced: isSynced(),
      lastProgressAt: lastAt,
      ageMs: clock.monotonic() - lastMonotonic,
      lost: lostAt !== undefined,
      stale: isStale(),
    }),
    isSynced,
    isStale,
    ageMs: () => clock.monotonic() - lastMonotonic,
    isBehind: () => lostAt !== undefined || !isSynced() || isStale(),
    get version() {
      return version
    },
    synced: promise,
  }
}
