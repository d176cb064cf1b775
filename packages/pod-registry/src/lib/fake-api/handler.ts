import type { Clock } from '@kube2iam-ts/core'
import { load as loadYaml } from 'js-yaml'
import type { ApiRequest } from '../api-connection.ts'
import { discovery } from './discovery.ts'
import { dressed } from './event-forms.ts'
import type { FailRule, FakeApiFaults } from './faults.ts'
import { createListPages } from './list-pages.ts'
import type { ObjectStore } from './object-store.ts'
import type { KubernetesObject, Manifest } from './objects.ts'
import { type Target, targetOf } from './request-target.ts'
import type { Resource } from './resources.ts'
import { fieldSelector, labelSelector } from './selectors.ts'
import {
  ApiStatusError,
  badRequest,
  deletedStatus,
  statusOf,
  tooLargeVersion,
  unauthorized,
} from './statuses.ts'
import type { TokenReviews } from './token-reviews.ts'
import { listText, shown, viewOf } from './views.ts'
import { goneLine, isGone, type WatchStreams } from './watch-streams.ts'
import type { Writes } from './writes.ts'

/** An answer before it is bytes. `body` may be a stream that throws: the connection is then cut. */
export interface FakeApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Iterable<string> | AsyncIterable<string>
}

export interface HandlerOptions {
  store: ObjectStore
  streams: WatchStreams
  reviews: TokenReviews
  writes: Writes
  clock: Clock
  faults: FakeApiFaults
  /** The rule that refuses this call, used up by asking. */
  failing: (call: 'list' | 'watch' | 'get' | 'write', resource: string) => FailRule | undefined
  /** Whether the bearer token opens the server; `undefined` where none was sent. */
  allowed: (token: string | undefined) => boolean
}

const APPLY_PATCH = 'application/apply-patch+yaml'
const JSON_HEADERS = { 'content-type': 'application/json' }
/** The API server without its socket: one request in, one answer out. Throws only where it has a bug. */
export function createHandler(options: HandlerOptions): (request: ApiRequest) => Promise<FakeApiAnswer> {
  const { store, streams, reviews, clock, faults, writes } = options
  const pages = createListPages(store)

  return async (request) => {
    try {
      return await answer(request)
    } catch (error) {
      if (!(error instanceof ApiStatusError)) throw error
      const retryAfter = error.retryAfterSeconds
      return {
        status: error.code,
        headers: { ...JSON_HEADERS, ...(retryAfter === undefined ? {} : { 'retry-after': `${retryAfter}` }) },
        body: JSON.stringify(statusOf(error)),
      }
    }
  }

  async function answer(request: ApiRequest): Promise<FakeApiAnswer> {
    const url = new URL(request.path, 'http://fake')
    if (['/healthz', '/livez', '/readyz'].includes(url.pathname)) {
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: 'ok' }
    }
    const token = /^Bearer (.+)$/i.exec(request.headers?.['authorization'] ?? '')?.[1]
    if (faults.expiredToken || !options.allowed(token)) throw unauthorized()
    const document = discovery(url.pathname)
    if (document !== undefined) return json(200, document)
    if (url.pathname === '/apis/authentication.k8s.io/v1/tokenreviews' && request.method === 'POST') {
      refuse('write', 'tokenreviews')
      return json(201, reviews.review(parse(request.body)))
    }
    const target = targetOf(url.pathname)
    const view = viewOf(request.headers?.['accept'])
    const now = clock.now()
    const one = (object: KubernetesObject, status = 200): FakeApiAnswer =>
      json(status, shown(target.resource, dressed(object, target.group), view, now))

    const removed = ({ resource, subresource }: Target, object: KubernetesObject): FakeApiAnswer =>
      subresource === undefined && TOLD_BY_STATUS.has(resource.kind)
        ? json(200, deletedStatus(resource, object.metadata))
        : one(object)

    switch (request.method) {
      case 'GET':
        if (target.name !== undefined) {
          refuse('get', target.resource.plural)
          return one(writes.existing(target))
        }
        if (['true', '1'].includes(url.searchParams.get('watch') ?? ''))
          return watch(target, url.searchParams, request)
        return await list(target, url.searchParams, request)
      case 'POST':
        refuse('write', target.resource.plural)
        return one(writes.create(target, parse(request.body)), 201)
      case 'PUT':
        refuse('write', target.resource.plural)
        return one(writes.replace(target, parse(request.body) as KubernetesObject))
      case 'PATCH': {
        refuse('write', target.resource.plural)
        const type = request.headers?.['content-type'] ?? ''
        const isNew =
          target.name === undefined || store.get(target.resource, target.namespace, target.name) === undefined
        if (!type.startsWith(APPLY_PATCH)) return one(writes.patch(target, type, parse(request.body)))
        const applied = writes.apply(target, parseYaml(request.body), {
          manager: url.searchParams.get('fieldManager') ?? '',
          force: url.searchParams.get('force') === 'true',
        })
        return one(applied, isNew ? 201 : 200)
      }
      case 'DELETE':
        refuse('write', target.resource.plural)
        return removed(target, writes.remove(target, graceSeconds(url.searchParams, request.body)))
      default:
        throw new ApiStatusError(
          405,
          'MethodNotAllowed',
          `the server does not allow this method on the requested resource`,
        )
    }
  }

  function refuse(call: 'list' | 'watch' | 'get' | 'write', plural: string): void {
    const rule = options.failing(call, plural)
    if (rule === undefined) return
    const { status, retryAfterSeconds } = rule
    const [reason, message] = FAILURES[status]
    throw new ApiStatusError(status, reason, message, { retryAfterSeconds })
  }

  async function list(target: Target, query: URLSearchParams, request: ApiRequest): Promise<FakeApiAnswer> {
    refuse('list', target.resource.plural)
    if (faults.slowListMs > 0) await clock.sleep(faults.slowListMs, request.signal)
    const { resource, namespace } = target
    const selected = selection(resource, query)
    const asked = query.get('resourceVersion') ?? ''
    if (Number(asked) > store.version) throw tooLargeVersion(asked, store.version)
    const page = pages.page({
      resource,
      namespace,
      matches: (object) => selected(object) && faults.leaveOut?.(object) !== true,
      limit: Number(query.get('limit') ?? 0),
      token: query.get('continue') ?? '',
    })
    const view = viewOf(request.headers?.['accept'])
    const items = page.items.map((object) => dressed(object, target.group))
    return {
      status: 200,
      headers: JSON_HEADERS,
      body: listText(resource, items, page.metadata, view, clock.now()),
    }
  }

  function watch(target: Target, query: URLSearchParams, request: ApiRequest): FakeApiAnswer {
    const { resource, namespace } = target
    refuse('watch', resource.plural)
    const asked = query.get('resourceVersion') ?? ''
    const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0) || 1800
    try {
      const body = streams.open({
        resource,
        namespace,
        matches: selection(resource, query),
        view: viewOf(request.headers?.['accept']),
        from: Number(asked) || undefined,
        bookmarks: ['true', '1'].includes(query.get('allowWatchBookmarks') ?? ''),
        timeoutSeconds,
      })
      return { status: 200, headers: JSON_HEADERS, body }
    } catch (error) {
      if (!isGone(error) || faults.goneForm === 'http') throw error
      return { status: 200, headers: JSON_HEADERS, body: goneLine(error) }
    }
  }
}

/** Of these a deletion answers that it was done, and not with what was there. */
const TOLD_BY_STATUS = new Set(['Event', 'Node', 'DaemonSet'])

const FAILURES: Record<FailRule['status'], readonly [reason: string, message: string]> = {
  401: ['Unauthorized', 'Unauthorized'],
  403: ['Forbidden', 'the user may not do this'],
  410: ['Gone', 'The provided resource version is too old'],
  429: ['TooManyRequests', 'Too many requests, please try again later.'],
  500: ['InternalError', 'Internal error occurred: etcdserver: request timed out'],
  502: ['InternalError', 'bad gateway'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
  504: ['Timeout', 'the request timed out'],
}

const json = (status: number, body: object): FakeApiAnswer => ({
  status,
  headers: JSON_HEADERS,
  body: JSON.stringify(body),
})

function parse(body: string | undefined): unknown {
  try {
    return JSON.parse(body ?? '')
  } catch {
    throw badRequest('the body of the request is not JSON')
  }
}

function parseYaml(body: string | undefined): Manifest {
  try {
    return loadYaml(body ?? '') as Manifest
  } catch {
    throw badRequest('error decoding YAML')
  }
}

/** How long a deletion is to take, by its query or its options; `undefined` where neither says. */
function graceSeconds(query: URLSearchParams, body: string | undefined): number | undefined {
  const asked = query.get('gracePeriodSeconds') ?? parseOptional(body)?.['gracePeriodSeconds']
  return asked === undefined || asked === null ? undefined : Number(asked)
}

const parseOptional = (body: string | undefined): Record<string, unknown> | undefined =>
  body === undefined || body === '' ? undefined : (parse(body) as Record<string, unknown>)

function selection(resource: Resource, query: URLSearchParams): (object: KubernetesObject) => boolean {
  const byField = fieldSelector(resource, query.get('fieldSelector'))
  const byLabel = labelSelector(query.get('labelSelector'))
  return (object) => byField(object) && byLabel(object)
}
