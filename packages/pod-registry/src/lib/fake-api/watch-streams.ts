import type { Cancel, Clock } from '@kube2iam-ts/core'
import type { FakeApiFaults } from './faults.ts'
import type { Change, ObjectStore } from './object-store.ts'
import type { KubernetesObject } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import type { Matcher } from './selectors.ts'
import { ApiStatusError, expired, statusOf } from './statuses.ts'
import { shown, type View } from './views.ts'

export interface WatchRequest {
  readonly resource: Resource
  readonly namespace: string | undefined
  readonly matches: Matcher
  readonly view: View
  /** `undefined` or `0`: begin with what exists. */
  readonly from: number | undefined
  readonly bookmarks: boolean
  readonly timeoutSeconds: number
}

/** The body of a watch; ends by time-out, by `break`, and by `drop` with an error. */
export type WatchBody = AsyncIterable<string>

export interface WatchStreamsOptions {
  store: ObjectStore
  clock: Clock
  faults: Pick<FakeApiFaults, 'duplicateEvents' | 'reorderEvents' | 'stallWatches' | 'noBookmarks'>
  bookmarkEveryMs: number
}

export interface WatchStreams {
  /** Throws 410 where the history does not reach back to `from`. */
  open(request: WatchRequest): WatchBody
  readonly size: number
  drop(resource?: string): void
  /** Says 410 in every stream and leaves it open. */
  expire(): void
  /** Sends what was held back by a stall that is over. */
  flush(): void
}

interface Stream {
  readonly resource: Resource
  push(change: Change): void
  say(line: string): void
  release(): void
  drop(): void
}

export function createWatchStreams({
  store,
  clock,
  faults,
  bookmarkEveryMs,
}: WatchStreamsOptions): WatchStreams {
  const streams = new Set<Stream>()
  store.subscribe((change) => {
    for (const stream of streams) if (stream.resource === change.resource) stream.push(change)
  })

  return {
    open(request) {
      const backlog = request.from ? store.since(request.from) : []
      const initial = request.from ? [] : store.list(request.resource, request.namespace)
      return stream(request, initial, backlog)
    },
    get size() {
      return streams.size
    },
    drop(resource) {
      for (const stream of streams)
        if (resource === undefined || stream.resource.plural === resource) stream.drop()
    },
    expire() {
      const line = eventLine('ERROR', statusOf(expired('too old resource version')))
      for (const stream of streams) stream.say(line)
    },
    flush() {
      for (const stream of streams) stream.release()
    },
  }

  function stream(request: WatchRequest, initial: KubernetesObject[], backlog: readonly Change[]): WatchBody {
    const { resource, view } = request
    let queue: string[] = []
    let held: string | undefined
    let wake: (() => void) | undefined
    let end: 'finished' | 'dropped' | 'left' | undefined
    const cancels: Cancel[] = []
    const rouse = (): void => {
      wake?.()
      wake = undefined
    }
    const say = (line: string): void => {
      if (faults.reorderEvents && held === undefined) {
        held = line
        // Nothing may be held for ever: with no second event it goes out alone.
        cancels.push(clock.after(20, () => releaseHeld()))
        return
      }
      queue.push(line)
      if (faults.duplicateEvents) queue.push(line)
      releaseHeld()
    }
    const releaseHeld = (): void => {
      if (held !== undefined) queue.push(held)
      held = undefined
      rouse()
    }
    const finish = (): void => {
      end ??= 'finished'
      rouse()
    }
    // As the API server does where an object cannot be shown as the client wants it, a list instead of an object: the
    // answer was 200 already, and the stream ends without a word at the first thing that there would be to say.
    const show = (type: Change['type'], object: KubernetesObject, to: (line: string) => void): void => {
      if (view === 'metadata-list') finish()
      else to(eventLine(type, shown(resource, object, view, clock.now())))
    }
    const self: Stream = {
      resource,
      say,
      push(change) {
        // Who asks for what comes after a version that is not there yet gets nothing until then: the API server refuses a
        // list from the future, and not a watch.
        if (change.version <= (request.from ?? 0)) return
        const type = transition(request, change)
        if (type !== undefined) show(type, change.object, say)
      },
      release: rouse,
      drop() {
        end = 'dropped'
        rouse()
      },
    }
    const bookmark = (): void => {
      // A bookmark says that everything up to it was sent. A stream out of order may not make it lie: nobody could
      // find out what it had skipped.
      releaseHeld()
      // A bookmark never says less than was asked for.
      if (faults.noBookmarks || store.version < (request.from ?? 0)) rouse()
      else if (view === 'metadata-list') finish()
      else {
        queue.push(bookmarkLine(resource, store.version, view))
        rouse()
      }
    }
    const beat = (): void => {
      cancels[0] = clock.after(bookmarkEveryMs, () => {
        bookmark()
        beat()
      })
    }

    const close = (): void => {
      streams.delete(self)
      for (const cancel of cancels) cancel()
    }
    // Not a generator: `return` has to end a `next` that is asleep.
    const iterator: AsyncIterator<string> = {
      async next() {
        for (;;) {
          if (end === 'dropped') {
            close()
            throw new Error('the connection was dropped')
          }
          if (queue.length > 0 && !faults.stallWatches && end !== 'left') {
            const lines = queue
            queue = []
            return { done: false, value: lines.join('') }
          }
          if (end !== undefined) {
            close()
            return { done: true, value: undefined }
          }
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      },
      async return() {
        end ??= 'left'
        close()
        rouse()
        return { done: true, value: undefined }
      },
    }

    for (const object of initial.filter(request.matches)) {
      show('ADDED', object, (line) => queue.push(line))
    }
    for (const change of backlog) if (change.resource === resource) self.push(change)
    streams.add(self)
    if (request.bookmarks) beat()
    cancels.push(
      clock.after(request.timeoutSeconds * 1000, () => {
        // The API server says where it is before it ends a watch, so that the next one resumes there.
        if (request.bookmarks) bookmark()
        finish()
      }),
    )
    return { [Symbol.asyncIterator]: () => iterator }
  }
}

/** What a change is to a watch with a selector: an object that leaves the selection is deleted to it. */
function transition(request: WatchRequest, change: Change): Change['type'] | undefined {
  const inNamespace = (object: KubernetesObject): boolean =>
    request.namespace === undefined || object.metadata.namespace === request.namespace
  const before =
    change.previous !== undefined && inNamespace(change.previous) && request.matches(change.previous)
  const after = change.type !== 'DELETED' && inNamespace(change.object) && request.matches(change.object)
  if (after) return before ? 'MODIFIED' : 'ADDED'
  return before ? 'DELETED' : undefined
}

const eventLine = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`

function bookmarkLine(resource: Resource, version: number, view: View): string {
  const metadata = { resourceVersion: `${version}`, creationTimestamp: null }
  const object =
    view === 'table'
      ? {
          kind: 'Table',
          apiVersion: 'meta.k8s.io/v1',
          metadata: { resourceVersion: `${version}` },
          columnDefinitions: null,
          rows: [],
        }
      : view === 'metadata'
        ? { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
        : { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata }
  return eventLine('BOOKMARK', object)
}

export const isGone = (error: unknown): error is ApiStatusError =>
  error instanceof ApiStatusError && error.code === 410

export const goneLine = (error: ApiStatusError): string => eventLine('ERROR', statusOf(error))
