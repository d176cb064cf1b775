import type { KubernetesObject } from './objects.ts'

/** A call that the server refuses instead of answering. */
export interface FailRule {
  readonly status: 401 | 403 | 410 | 429 | 500 | 502 | 503 | 504
  /** Which calls; all unless told. */
  readonly on?: 'list' | 'watch' | 'get' | 'write'
  /** Plural, as in the path: `pods`. */
  readonly resource?: string
  /** How many calls; without it and without `forMs`, until `clear`. */
  readonly count?: number
  /** For how long, by the server's clock. */
  readonly forMs?: number
  /** Sent as `Retry-After` and as the Status's `retryAfterSeconds`. */
  readonly retryAfterSeconds?: number
}

/** The switches of the fake API server. Settings hold until changed; methods act at once. */
export interface FakeApiFaults {
  /** Every page of a list takes this long. */
  slowListMs: number
  /** Each watch event is sent twice. */
  duplicateEvents: boolean
  /** Each pair of watch events is sent the later one first. */
  reorderEvents: boolean
  /** Watches say nothing, not even bookmarks, and stay open; a new watch is accepted and silent too. */
  stallWatches: boolean
  /** No bookmarks are sent, as by an old API server. */
  noBookmarks: boolean
  /** Lists leave these out although they exist, as one from a cache that is behind. */
  leaveOut: ((object: KubernetesObject) => boolean) | undefined
  /** The token is no longer accepted: 401 to everything. */
  expiredToken: boolean
  /** Nothing is answered: connections are closed without a byte. */
  outage: boolean
  /** Closes all open watches (of one resource, where told), without an end of the stream. */
  dropWatches(resource?: string): void
  /** Forgets the history. Watches that are open carry on; older resource versions and continue tokens get 410. */
  compact(): void
  /** Forgets the history and sends 410 into every open watch, leaving it open, as some API servers do. */
  expireWatches(): void
  /** In which form a watch from a forgotten version is refused: HTTP 410, or 200 with an ERROR event. */
  goneForm: 'http' | 'stream'
  fail(rule: FailRule): void
  /** Ends every fault. */
  clear(): void
}
