import type { Clock } from '@kube2iam-ts/core'
import type { ApiRequest } from '../api-connection.ts'
import { discovery } from './discovery.ts'
import { dressed, undressed } from './event-forms.ts'
import { checkChangedEvent, checkNewEvent } from './event-rules.ts'
import type { FailRule, FakeApiFaults } from './faults.ts'
import { createListPages } from './list-pages.ts'
import { type ObjectStore, timestamp } from './object-store.ts'
import type { KubernetesObject, Manifest } from './objects.ts'
import { applyPatch } from './patches.ts'
import { type Target, targetOf } from './request-target.ts'
import { type Resource, resourceOfKind } from './resources.ts'
import { fieldSelector, labelSelector } from './selectors.ts'
import { ApiStatusError, badRequest, notFound, statusOf, tooLargeVersion, unauthorized } from './statuses.ts'
import type { TokenReviews } from './token-reviews.ts'
import { listText, shown, viewOf } from './views.ts'
import { goneLine, isGone, type WatchStreams } from './watch-streams.ts'

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
  clock: Clock
  faults: FakeApiFaults
  /** The rule that refuses this call, used up by asking. */
  failing: (call: 'list' | 'watch' | 'get' | 'write', resource: string) => FailRule | undefined
  /** Whether the bearer token opens the server; `undefined` where none was sent. */
  allowed: (token: string | undefined) => boolean
  gracefulDeletion: boolean
}

const JSON_HEADERS = { 'content-type': 'application/json' }
/** The API server without its socket: one request in, one answer out. Throws only where it has a bug. */
export function createHandler(options: HandlerOptions): (request: ApiRequest) => Promise<FakeApiAnswer> {
  const { store, streams, reviews, clock, faults } = options
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

    switch (request.method) {
      case 'GET':
        if (target.name !== undefined) {
          refuse('get', target.resource.plural)
          return one(existing(target))
        }
        if (['true', '1'].includes(url.searchParams.get('watch') ?? ''))
          return watch(target, url.searchParams, request)
        return await list(target, url.searchParams, request)
      case 'POST':
        refuse('write', target.resource.plural)
        return one(create(target, parse(request.body)), 201)
      case 'PUT': {
        refuse('write', target.resource.plural)
        const body = parse(request.body) as KubernetesObject
        return one(replace(target, body, body.metadata?.resourceVersion))
      }
      case 'PATCH': {
        refuse('write', target.resource.plural)
        const before = existing(target)
        const type = request.headers?.['content-type'] ?? ''
        const seen = dressed(before, target.group)
        const patched = applyPatch(type, seen, parse(request.body)) as KubernetesObject
        return one(replace(target, patched, patched.metadata.resourceVersion))
      }
      case 'DELETE':
        refuse('write', target.resource.plural)
        return one(remove(target, url.searchParams, request.body))
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

  function existing({ resource, namespace, name = '' }: Target): KubernetesObject {
    const object = store.get(resource, namespace, name)
    if (object === undefined) throw notFound(resource.plural, name)
    return object
  }

  function create(target: Target, body: unknown): KubernetesObject {
    const { resource, namespace } = target
    const manifest = undressed(body as Manifest)
    if (typeof manifest?.metadata !== 'object') throw badRequest('the body is not a Kubernetes object')
    if (namespace !== undefined && store.get(namespaces, undefined, namespace) === undefined) {
      throw notFound('namespaces', namespace)
    }
    const { deletionTimestamp: _, ...metadata } = manifest.metadata
    const given = { ...manifest, metadata: { ...metadata, ...(namespace && { namespace }) } }
    return store.create(resource, given, (object) => {
      if (resource.kind === 'Event') checkNewEvent(object, target.group)
    })
  }

  function replace(target: Target, body: KubernetesObject, expectedVersion?: string): KubernetesObject {
    const before = existing(target)
    const changed =
      target.subresource === 'status'
        ? { ...before, status: body['status'] }
        : { ...undressed(body), metadata: { ...body.metadata, name: before.metadata.name } }
    const { deletionTimestamp } = before.metadata
    const metadata = { ...changed.metadata, ...(deletionTimestamp && { deletionTimestamp }) }
    const object = {
      ...changed,
      apiVersion: before.apiVersion,
      kind: before.kind,
      metadata,
    } as KubernetesObject
    if (target.resource.kind === 'Event') checkChangedEvent(object, before, target.group)
    return store.replace(target.resource, object, expectedVersion)
  }

  function remove(target: Target, query: URLSearchParams, body: string | undefined): KubernetesObject {
    const object = existing(target)
    const asked =
      query.get('gracePeriodSeconds') ?? (parseOptional(body)?.['gracePeriodSeconds'] as number | undefined)
    const graceSeconds = asked === undefined || asked === null ? 30 : Number(asked)
    const { resource, namespace, name = '' } = target
    if (!options.gracefulDeletion || resource.kind !== 'Pod' || graceSeconds === 0) {
      return store.remove(resource, namespace, name)
    }
    // As the API server does for a pod that a kubelet looks after: mark it, and leave it until the node is done.
    const deletionTimestamp = timestamp(clock.now() + graceSeconds * 1000)
    const metadata = { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds }
    return store.replace(resource, { ...object, metadata })
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
    if (Number(asked) > store.version) throw tooLargeVersion(asked, store.version)
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

const namespaces = resourceOfKind('Namespace') as Resource

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

const parseOptional = (body: string | undefined): Record<string, unknown> | undefined =>
  body === undefined || body === '' ? undefined : (parse(body) as Record<string, unknown>)

function selection(resource: Resource, query: URLSearchParams): (object: KubernetesObject) => boolean {
  const byField = fieldSelector(resource, query.get('fieldSelector'))
  const byLabel = labelSelector(query.get('labelSelector'))
  return (object) => byField(object) && byLabel(object)
}
