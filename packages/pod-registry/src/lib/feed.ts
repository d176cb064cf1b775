/**
 * What a feed of Kubernetes objects says. `snapshot` replaces everything known before (what it does not name is
 * gone); `progress` is a bookmark: nothing changed, and the feed is up to date; `stale` says that touch was lost and
 * nothing since can be trusted to be complete until the next `snapshot`, `upsert`, `delete` or `progress`.
 */
export type FeedEvent<Item> =
  | { readonly kind: 'snapshot'; readonly items: readonly Item[] }
  | { readonly kind: 'upsert'; readonly item: Item }
  | { readonly kind: 'delete'; readonly item: Item }
  | { readonly kind: 'progress' }
  | { readonly kind: 'stale'; readonly code: FeedErrorCode; readonly message: string }

/** Why touch was lost. All but `FEED_FORBIDDEN` are worth another attempt by the feed itself, which makes it. */
export type FeedErrorCode = 'FEED_LIST_FAILED' | 'FEED_WATCH_FAILED' | 'FEED_EXPIRED' | 'FEED_FORBIDDEN'

/** A never-ending account of a set of objects. It ends only when the signal is aborted, and never throws. */
export interface Feed<Item> {
  events(signal: AbortSignal): AsyncIterable<FeedEvent<Item>>
}
