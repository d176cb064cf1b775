import { createBackoff, type Random } from '@kube2iam-ts/core'
import { type CollectionOptions, createCollection, type Watched } from './collection.ts'
import type { Feed, FeedEvent } from './feed.ts'
import { asFailure, type FeedFailure, retryAfterMs, wasSilent } from './feed-failures.ts'

export interface KubernetesFeedOptions<Item>
  extends Omit<CollectionOptions<Item>, 'listSilenceMs' | 'watchSilenceMs'> {
  random: Random
  /** Items to a page of a list. 500, as client-go. */
  pageSize?: number
  /** How long a watch may last before the server ends it; up to a fifth is added, so that nodes spread. 5 minutes. */
  watchMs?: number
  /**
   * A watch that says nothing for so long, bookmarks included, is taken for dead and begun anew where it stopped. The
   * API server sends a bookmark about every minute. 90 seconds.
   */
  silenceMs?: number
  /** A list of which nothing arrives for so long has failed. 30 seconds. */
  listSilenceMs?: number
  /** Lists again after so long although the watch is well, to find what it may have missed. Never, unless told. */
  relistEveryMs?: number
  /** Waits after failures: full jitter below a bound that doubles from `baseMs` (500) to `maxMs` (30,000). */
  backoff?: { readonly baseMs: number; readonly maxMs: number }
}

/** So many failed watches since the last list, and the feed lists again: its version itself may be the trouble. */
const RELIST_AFTER_FAILURES = 5
/** A watch that stood for so long was well, although it may have had nothing to say. */
const STOOD_MS = 60_000
/** A watch that ends sooner than this without a word counts as a failed attempt, so that there is no hot loop. */
const TOO_SHORT_MS = 1000

/**
 * Lists a collection in pages, watches from there, and keeps at it until the signal is aborted: resumes from the last
 * version after a loss, lists again after 410 in either form, backs off with jitter and honours `Retry-After`.
 */
export function createKubernetesFeed<Item>(options: KubernetesFeedOptions<Item>): Feed<Item> {
  const {
    clock,
    random,
    pageSize = 500,
    watchMs = 300_000,
    relistEveryMs = Number.POSITIVE_INFINITY,
  } = options
  const {
    silenceMs = 90_000,
    listSilenceMs = 30_000,
    backoff: bounds = { baseMs: 500, maxMs: 30_000 },
  } = options
  const collection = createCollection({ ...options, listSilenceMs, watchSilenceMs: silenceMs })

  return { events }

  async function* events(signal: AbortSignal): AsyncGenerator<FeedEvent<Item>> {
    const backoff = createBackoff({ clock, random, ...bounds })
    /** Where the next watch begins; `undefined`: list first. */
    let version: string | undefined
    let listedAt = 0
    let pages = pageSize
    let isLost = false
    let failedWatches = 0
    let hasExpired = false
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      const wasWatch = version !== undefined
      let openedAt = Number.POSITIVE_INFINITY
      let hasSpoken = false
      let failure: FeedFailure | undefined
      try {
        if (version === undefined) {
          const listed = await collection.list(pages, signal)
          version = listed.version
          listedAt = clock.monotonic()
          pages = pageSize
          isLost = false
          failedWatches = 0
          yield { kind: 'snapshot', items: listed.items, version }
          continue
        }
        const timeoutSeconds = Math.ceil((watchMs * (1 + random() / 5)) / 1000)
        for await (const said of collection.watch(version, timeoutSeconds, signal)) {
          version = said.version
          if (said.type === 'open') {
            openedAt = clock.monotonic()
            if (isLost) yield { kind: 'resumed' }
            isLost = false
            continue
          }
          hasSpoken = true
          const event = eventOf(said)
          if (event !== undefined) yield event
        }
      } catch (error) {
        failure = asFailure(error, version === undefined ? 'FEED_LIST_FAILED' : 'FEED_WATCH_FAILED')
      }
      if (signal.aborted) return
      // Only a watch is a success that makes the next wait short: where lists are answered and watches are not, each list
      // would begin the back-off anew. And what a watch said that ended with 410, or out of order, is worth nothing.
      const stood = clock.monotonic() - openedAt >= STOOD_MS
      if (stood || (hasSpoken && failure?.code !== 'FEED_EXPIRED')) {
        backoff.reset()
        failedWatches = 0
        hasExpired = false
      }
      if (failure === undefined) {
        if (clock.monotonic() - listedAt >= relistEveryMs) version = undefined
        if (clock.monotonic() - startedAt >= TOO_SHORT_MS) continue
      }
      if (failure !== undefined) {
        isLost = true
        yield { kind: 'stale', code: failure.code, message: failure.message }
      }
      if (failure?.code === 'FEED_EXPIRED') {
        // Pages that expire under way would expire again; in one answer they cannot (client-go does the same).
        if (version === undefined) pages = 0
        version = undefined
      } else if (wasSilent(failure) || (wasWatch && (failedWatches += 1) > RELIST_AFTER_FAILURES)) {
        // A server or proxy that let one watch fall silent may accept the next and be as silent there; a list is an
        // answer or a failure.
        version = undefined
      }
      // An API server that comes back after an outage answers 410 to what was watched before: only the list is left to
      // do, and the failures until then are over. What expires again is a failure like any other.
      const isFirstExpiry = failure?.code === 'FEED_EXPIRED' && !hasExpired
      hasExpired = failure?.code === 'FEED_EXPIRED'
      try {
        if (isFirstExpiry) await clock.sleep(random() * bounds.baseMs, signal)
        else await backoff.wait(signal, retryAfterMs(failure))
      } catch {
        return
      }
    }
  }
}

function eventOf<Item>({ type, version, item }: Watched<Item>): FeedEvent<Item> | undefined {
  // An object that could not be reduced is of no interest, but its event is a sign of life like any other.
  if (item === undefined || type === 'bookmark') return { kind: 'progress', version }
  return type === 'open' ? undefined : { kind: type, item, version }
}
