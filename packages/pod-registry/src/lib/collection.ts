import { type Clock, CodedError } from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import { createDeadMan } from './dead-man.ts'
import { failureOf, refused, type StatusJson, silence } from './feed-failures.ts'
import type { Reduce } from './from-kubernetes.ts'
import { splitList } from './list-splitter.ts'
import { isNewer, olderThan } from './resource-version.ts'
import { watchLines } from './watch-lines.ts'

/** One collection of the API server: what to ask for, and what to keep of it. */
export interface CollectionOptions<Item> {
  connection: ApiConnection
  clock: Clock
  /** `/api/v1/pods`. */
  path: string
  /** `spec.nodeName=node-1`. */
  fieldSelector?: string
  /** Asks for `PartialObjectMetadata`: names, labels and annotations only. */
  metadataOnly?: boolean
  reduce: Reduce<Item>
  /** An answer of which nothing arrives for so long has failed. */
  listSilenceMs: number
  watchSilenceMs: number
}

export interface Listed<Item> {
  readonly version: string
  readonly items: Item[]
}

/** One thing that a watch said. `item` is missing of a bookmark and of an object that is of no interest. */
export interface Watched<Item> {
  readonly type: 'open' | 'upsert' | 'delete' | 'bookmark'
  readonly version: string
  readonly item?: Item
}

/** List and watch of one collection, once each: who calls decides what to do about failures. */
export interface Collection<Item> {
  /** Reads everything, `pageSize` at a time (0: in one answer), all of one moment. Rejects with a feed code. */
  list(pageSize: number, signal: AbortSignal): Promise<Listed<Item>>
  /** Follows the changes after a version until the server ends the watch; throws a feed code. */
  watch(from: string, timeoutSeconds: number, signal: AbortSignal): AsyncGenerator<Watched<Item>>
}

/**
 * What to ask for so that only metadata comes. A list and a watch want different kinds, one each: the API server takes
 * the first that it knows, without looking whether it suits. A list is then 406, and a watch ends empty at its first
 * event. Whole objects stand in where none of it is known.
 */
const METADATA = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
}
const WHOLE = { list: 'application/json', watch: 'application/json' }

/** How far a watch has come, and whether a bookmark alone says so: then the event of that version was not read. */
interface Reached {
  readonly version: string
  readonly byBookmark: boolean
}

interface WatchLine {
  readonly type?: string
  readonly object?: StatusJson & { readonly metadata?: { readonly resourceVersion?: string } }
}

export function createCollection<Item>(options: CollectionOptions<Item>): Collection<Item> {
  const { connection, clock, path, reduce, listSilenceMs, watchSilenceMs } = options
  const accept = options.metadataOnly === true ? METADATA : WHOLE
  const selector = options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }
  const get = (call: 'list' | 'watch', query: Record<string, string>, signal: AbortSignal) => ({
    method: 'GET' as const,
    path: `${path}?${new URLSearchParams({ ...query, ...selector }).toString()}`,
    headers: { accept: accept[call] },
    signal,
  })

  return {
    async list(pageSize, signal) {
      const items: Item[] = []
      let next: string | undefined
      for (;;) {
        const deadMan = createDeadMan(clock, listSilenceMs, signal)
        try {
          const paging = pageSize > 0 ? { limit: `${pageSize}` } : {}
          const response = await connection.request(
            get('list', { ...paging, ...(next === undefined ? {} : { continue: next }) }, deadMan.signal),
          )
          if (response.status !== 200) throw await refused(response, 'FEED_LIST_FAILED')
          const { metadata } = await splitList(deadMan.watched(response.body), (object) => {
            const item = reduce(object)
            if (item !== undefined) items.push(item)
          })
          next = metadata?.continue === '' ? undefined : metadata?.continue
          if (next === undefined) return { version: versionOf(metadata?.resourceVersion), items }
        } catch (error) {
          throw deadMan.fired ? silence('FEED_LIST_FAILED', path, listSilenceMs, error) : error
        } finally {
          deadMan.stop()
        }
      }
    },
    async *watch(from, timeoutSeconds, signal) {
      const query = {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: from,
        timeoutSeconds: `${timeoutSeconds}`,
      }
      const deadMan = createDeadMan(clock, watchSilenceMs, signal)
      try {
        const response = await connection.request(get('watch', query, deadMan.signal))
        if (response.status !== 200) throw await refused(response, 'FEED_WATCH_FAILED')
        yield { type: 'open', version: from }
        let last: Reached = { version: from, byBookmark: false }
        for await (const line of watchLines(deadMan.watched(response.body))) {
          const said = read(line as WatchLine, last)
          if (said === undefined) continue
          if (said.version !== last.version) {
            last = { version: said.version, byBookmark: said.type === 'bookmark' }
          }
          yield said
        }
      } catch (error) {
        throw deadMan.fired ? silence('FEED_WATCH_FAILED', path, watchSilenceMs, error) : error
      } finally {
        deadMan.stop()
      }
    },
  }

  /** One line as what it means after `version`; `undefined` of a repetition. */
  function read({ type, object }: WatchLine, { version, byBookmark }: Reached): Watched<Item> | undefined {
    if (type === 'ERROR') throw failureOf(object?.code ?? 0, object, 'FEED_WATCH_FAILED')
    const next = object?.metadata?.resourceVersion
    if (next === undefined || next === '') throw unreadable('carries no resourceVersion')
    if (type === 'BOOKMARK') return { type: 'bookmark', version: isNewer(next, version) ? next : version }
    if (next === version && !byBookmark) return undefined
    // An older version, or one that a bookmark said was sent already: the stream is out of order, and what it still
    // holds back may undo what it said. Only a list says how things are.
    if (next === version || olderThan(next, version)) {
      throw new CodedError('FEED_EXPIRED', `the watch of ${path} is out of order`, { retryable: true })
    }
    const item = reduce(object)
    const found = item === undefined ? {} : { item }
    if (type === 'ADDED' || type === 'MODIFIED') return { type: 'upsert', version: next, ...found }
    if (type === 'DELETED') return { type: 'delete', version: next, ...found }
    throw unreadable(`has the unknown type ${JSON.stringify(type).slice(0, 40)}`)
  }

  function versionOf(version: string | undefined): string {
    if (version !== undefined && version !== '') return version
    throw new CodedError('FEED_LIST_FAILED', `the list of ${path} carries no resourceVersion`, {
      retryable: true,
    })
  }
}

const unreadable = (why: string): CodedError<'FEED_WATCH_FAILED'> =>
  new CodedError('FEED_WATCH_FAILED', `a watch event ${why}`, { retryable: true })
