/**
 * What a feed of Kubernetes objects says. `snapshot` replaces everything known before (what it does not name is
 * gone); `progress` is a bookmark: nothing changed, and the feed is up to date; `stale` says that touch was lost and
 * nothing since can be trusted to be complete until the next `snapshot`, `upsert`, `delete` or `progress`; `resumed`
 * says that touch is there again and that what was missed follows.
 *
 * The events of one object come in the order in which they happened; the same event may come more than once.
 */
export type FeedEvent<Item> =
  | { readonly kind: 'snapshot'; readonly items: readonly Item[]; readonly version?: string }
  | { readonly kind: 'upsert'; readonly item: Item; readonly version?: string }
  | { readonly kind: 'delete'; readonly item: Item; readonly version?: string }
  | { readonly kind: 'progress'; readonly version?: string }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'stale'; readonly code: FeedErrorCode; readonly message: string }

/**
 * Why touch was lost. The feed tries again by itself in every case; `FEED_FORBIDDEN` (401, 403) will not succeed
 * before somebody changes a permission or a token.
 */
export type FeedErrorCode = 'FEED_LIST_FAILED' | 'FEED_WATCH_FAILED' | 'FEED_EXPIRED' | 'FEED_FORBIDDEN'

/** A never-ending account of a set of objects. It ends only when the signal is aborted, and never throws. */
export interface Feed<Item> {
  events(signal: AbortSignal): AsyncIterable<FeedEvent<Item>>
}
