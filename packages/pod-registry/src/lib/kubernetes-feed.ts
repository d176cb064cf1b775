import { type Clock, CodedError, createBackoff, isCoded, type Random } from '@kube2iam-ts/core'
import type { ApiConnection, ApiResponse } from './api-connection.ts'
import type { Feed, FeedErrorCode, FeedEvent } from './feed.ts'
import type { Reduce } from './from-kubernetes.ts'
import { splitList } from './list-splitter.ts'
import { createDeadMan } from './dead-man.ts'
import { isNewer, olderThan } from './resource-version.ts'
import { watchLines } from './watch-lines.ts'

export interface KubernetesFeedOptions<Item> {
  connection: ApiConnection
  clock: Clock
  random: Random
  /** The collection: `/api/v1/pods`. */
  path: string
  /** `spec.nodeName=node-1`. */
  fieldSelector?: string
  /** Asks for `PartialObjectMetadata`: names, labels and annotations only. */
  metadataOnly?: boolean
  reduce: Reduce<Item>
  /** Items to a page of the first list. 500, as client-go. */
  pageSize?: number
  /** How long a watch may last before the server ends it; the real value is up to a fifth longer, so that nodes spread. */
  watchMs?: number
  /**
   * A watch that says nothing for so long, bookmarks included, is taken for dead and begun anew where it stopped. The
   * API server sends a bookmark about every minute.
   */
  silenceMs?: number
  /** A list of which nothing arrives for so long has failed. */
  listSilenceMs?: number
  backoff?: { baseMs: number; maxMs: number }
}

/** So many watches in a row without a sign of life, and the feed lists again: the version itself may be the trouble. */
const RELIST_AFTER_FAILURES = 5
/** A watch that ends sooner than this without a word is counted as a failure, whatever it said: no hot loop. */
const TOO_SHORT_MS = 1000

/**
 * Lists a collection in pages, watches from there, and keeps at it until the signal is aborted: resumes from the last
 * version after a loss, lists again after 410 in either form, backs off with jitter and honours `Retry-After`.
 */
export function createKubernetesFeed<Item>(options: KubernetesFeedOptions<Item>): Feed<Item> {
  const { connection, clock, random, path, reduce } = options
  const { pageSize = 500, watchMs = 300_000, silenceMs = 90_000, listSilenceMs = 30_000 } = options
  const accept = options.metadataOnly === true ? METADATA : 'application/json'

  return { events: (signal) => events(signal) }

  async function* events(signal: AbortSignal): AsyncGenerator<FeedEvent<Item>> {
    const backoff = createBackoff({ clock, random, ...(options.backoff ?? { baseMs: 500, maxMs: 30_000 }) })
    let version: string | undefined
    while (!signal.aborted) {
      let failure: CodedError<FeedErrorCode> | undefined
      const startedAt = clock.monotonic()
      try {
        if (version === undefined) {
          const listed = await list(signal)
          version = listed.version
          yield { kind: 'snapshot', items: listed.items }
          backoff.reset()
          continue
        }
        for await (const event of watch(version, signal)) {
          version = event.version
          backoff.reset()
          if (event.said !== undefined) yield event.said
        }
        if (clock.monotonic() - startedAt >= TOO_SHORT_MS) continue
      } catch (error) {
        failure = asFailure(error, version === undefined ? 'FEED_LIST_FAILED' : 'FEED_WATCH_FAILED')
      }
      if (signal.aborted) return
      if (failure !== undefined) yield { kind: 'stale', code: failure.code, message: failure.message }
      if (failure?.code === 'FEED_EXPIRED' || backoff.attempts >= RELIST_AFTER_FAILURES) version = undefined
      try {
        await backoff.wait(signal, retryAfterMs(failure))
      } catch {
        return
      }
    }
  }

  async function list(signal: AbortSignal): Promise<{ version: string; items: Item[] }> {
    const items: Item[] = []
    let continueToken: string | undefined
    for (;;) {
      const query = new URLSearchParams({ limit: `${pageSize}`, ...selector() })
      if (continueToken !== undefined) query.set('continue', continueToken)
      const deadMan = createDeadMan(clock, listSilenceMs, signal)
      try {
        const response = await connection.request(get(query, deadMan.signal))
        if (response.status !== 200) throw await refused(response, 'FEED_LIST_FAILED')
        const envelope = await splitList(deadMan.watched(response.body), (object) => {
          const item = reduce(object)
          if (item !== undefined) items.push(item)
        })
        const { resourceVersion, continue: next } = envelope.metadata ?? {}
        if (next) continueToken = next
        else if (resourceVersion) return { version: resourceVersion, items }
        else
          throw new CodedError('FEED_LIST_FAILED', `the list of ${path} carries no resourceVersion`, {
            retryable: true,
          })
      } catch (error) {
        throw deadMan.fired ? silent('FEED_LIST_FAILED', path, listSilenceMs, error) : error
      } finally {
        deadMan.stop()
      }
    }
  }

  async function* watch(
    from: string,
    signal: AbortSignal,
  ): AsyncGenerator<{ version: string; said: FeedEvent<Item> | undefined }> {
    const timeoutSeconds = Math.ceil((watchMs * (1 + random() / 5)) / 1000)
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: `${timeoutSeconds}`,
      ...selector(),
    })
    let version = from
    const deadMan = createDeadMan(clock, silenceMs, signal)
    try {
      const response = await connection.request(get(query, deadMan.signal))
      if (response.status !== 200) throw await refused(response, 'FEED_WATCH_FAILED')
      for await (const line of watchLines(deadMan.watched(response.body))) {
        const { type, object } = line as WatchLine
        if (type === 'ERROR') throw failureOf(object?.code ?? 0, object, 'FEED_WATCH_FAILED')
        const next = object?.metadata?.resourceVersion
        if (next === undefined || next === '') {
          throw new CodedError('FEED_WATCH_FAILED', 'a watch event carries no resourceVersion', {
            retryable: true,
          })
        }
        if (type === 'BOOKMARK') {
          if (isNewer(next, version)) version = next
          yield { version, said: { kind: 'progress' } }
          continue
        }
        // A version that was there already is a repetition; an older one means that the stream is out of order, and
        // that what it still holds back can undo what it said: only a list says how things are.
        if (next === version) continue
        if (olderThan(next, version)) {
          throw new CodedError('FEED_EXPIRED', 'the watch is out of order', {
            retryable: true,
            detail: { path },
          })
        }
        version = next
        const item = reduce(object)
        if (type === 'DELETED') yield { version, said: item && { kind: 'delete', item } }
        else if (type === 'ADDED' || type === 'MODIFIED')
          yield { version, said: item && { kind: 'upsert', item } }
        else
          throw new CodedError('FEED_WATCH_FAILED', 'a watch event has an unknown type', { retryable: true })
      }
    } catch (error) {
      throw deadMan.fired ? silent('FEED_WATCH_FAILED', path, silenceMs, error) : error
    } finally {
      deadMan.stop()
    }
  }

  function selector(): Record<string, string> {
    return options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }
  }

  function get(query: URLSearchParams, signal: AbortSignal) {
    return { method: 'GET', path: `${path}?${query.toString()}`, headers: { accept }, signal } as const
  }
}

const METADATA =
  'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'

interface WatchLine {
  readonly type?: string
  readonly object?: {
    readonly code?: number
    readonly reason?: string
    readonly message?: string
    readonly details?: { readonly retryAfterSeconds?: number }
    readonly metadata?: { readonly resourceVersion?: string }
  }
}

type StatusJson = NonNullable<WatchLine['object']>

/** What an answer other than 200 means to a feed. */
async function refused(response: ApiResponse, otherwise: FeedErrorCode): Promise<CodedError<FeedErrorCode>> {
  const text = await textOf(response.body)
  let status: StatusJson = {}
  try {
    status = JSON.parse(text) as StatusJson
  } catch {
    // A proxy's page: its status is all there is to say.
  }
  return failureOf(response.status, status, otherwise, Number(response.headers['retry-after']))
}

function failureOf(
  code: number,
  status: StatusJson | undefined,
  otherwise: FeedErrorCode,
  retryAfterSeconds = status?.details?.retryAfterSeconds,
): CodedError<FeedErrorCode> {
  const seconds = Number.isFinite(retryAfterSeconds) ? retryAfterSeconds : status?.details?.retryAfterSeconds
  const detail = { status: code, reason: status?.reason, retryAfterSeconds: seconds }
  const message = `the API server answered ${code}${status?.message ? `: ${status.message.slice(0, 300)}` : ''}`
  const feedCode = code === 410 ? 'FEED_EXPIRED' : code === 401 || code === 403 ? 'FEED_FORBIDDEN' : otherwise
  return new CodedError(feedCode, message, { retryable: true, detail })
}

function asFailure(error: unknown, otherwise: FeedErrorCode): CodedError<FeedErrorCode> {
  if (isCoded(error) && FEED_CODES.has(error.code)) return error as CodedError<FeedErrorCode>
  const message = error instanceof Error ? error.message : String(error)
  return new CodedError(otherwise, message, { retryable: true, cause: error })
}

const FEED_CODES = new Set<string>([
  'FEED_LIST_FAILED',
  'FEED_WATCH_FAILED',
  'FEED_EXPIRED',
  'FEED_FORBIDDEN',
] satisfies FeedErrorCode[])

const silent = (code: FeedErrorCode, path: string, ms: number, cause: unknown) =>
  new CodedError(code, `nothing was heard of ${path} for ${ms} ms`, { retryable: true, cause })

function retryAfterMs(failure: CodedError | undefined): number {
  const seconds = Number(failure?.detail['retryAfterSeconds'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 300) * 1000 : 0
}

/** The beginning of a body: enough for a message. */
async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > 64 * 1024) break
  }
  return Buffer.concat(chunks).toString('utf8')
}
