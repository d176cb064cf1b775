import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { type Clock, CodedError, systemClock } from '@kube2iam-ts/core'
import type { ApiConnection, ApiRequest, ApiResponse } from '../api-connection.ts'
import type { FailRule, FakeApiFaults } from './faults.ts'
import { createHandler, type FakeApiAnswer } from './handler.ts'
import { kubeconfigText } from './kubeconfig-text.ts'
import { type Change, createObjectStore } from './object-store.ts'
import { type KubernetesObject, type Manifest, type Resource, RESOURCES } from './resources.ts'
import { createTokenReviews, type TokenOwner } from './token-reviews.ts'
import { createWatchStreams } from './watch-streams.ts'

export interface FakeApiServerOptions {
  /** Time of time-stamps, bookmarks, watch time-outs and slow lists; the system's unless told. */
  clock?: Clock
  /** The bearer token that opens the server; without it any caller may do anything. */
  token?: string
  /** How often a quiet watch gets a bookmark; a minute, as the API server does. */
  bookmarkEveryMs?: number
  /** How many changes the history keeps before it compacts by itself. */
  historyLimit?: number
  /** Deleted pods are marked and stay until the caller removes them, as with a kubelet. Otherwise they go at once. */
  gracefulDeletion?: boolean
  /** Serves HTTPS. `ca` with `requireClientCertificate` refuses clients without a certificate of that authority. */
  tls?: FakeApiTls
}

export interface FakeApiTls {
  readonly cert: string
  readonly key: string
  /** For the kubeconfig, and to check client certificates. */
  readonly ca: string
  readonly requireClientCertificate?: boolean
}

/** A call that the server saw. */
export interface FakeApiRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly at: number
}

/** A write, as subscribers see it. */
export interface FakeApiChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubernetesObject
}

/**
 * A Kubernetes API server in memory: real list, watch, paging, selectors, bookmarks and resource versions over HTTP,
 * for the kinds that an identity agent deals with. Nothing schedules or runs pods: the caller is the kubelet.
 */
export interface FakeApiServer {
  listen(options?: { host?: string; port?: number }): Promise<{ url: string; port: number }>
  close(): Promise<void>
  /** The server without a socket: the same handler, for tests with thousands of histories. */
  connection(): ApiConnection
  /** Creates or replaces an object as an administrator; fills in what is absent. A new `metadata.uid` replaces the old object by a new one. */
  apply(manifest: Manifest): KubernetesObject
  delete(kind: string, namespace: string | undefined, name: string): void
  get(kind: string, namespace: string | undefined, name: string): KubernetesObject | undefined
  list(kind: string, namespace?: string): KubernetesObject[]
  /** Called at every write, by whomever: how a caller plays scheduler and kubelet. */
  subscribe(listener: (change: FakeApiChange) => void): () => void
  /** The newest resource version. */
  readonly resourceVersion: string
  readonly requests: readonly FakeApiRequest[]
  /** How many watches are open. */
  readonly watches: number
  readonly faults: FakeApiFaults
  /** The token that opens the server from now on, as after a rotation. */
  setToken(token: string | undefined): void
  /** Makes a token known to `TokenReview`. It does not open the server. */
  addToken(token: string, owner: TokenOwner): void
  removeToken(token: string): void
  /** A kubeconfig (YAML) for the address that the server listens on. */
  kubeconfig(): string
}

const REMEMBERED_REQUESTS = 10_000

export function createFakeApiServer(options: FakeApiServerOptions = {}): FakeApiServer {
  const { clock = systemClock, bookmarkEveryMs = 60_000, historyLimit = 10_000, tls } = options
  const store = createObjectStore({ clock, historyLimit })
  const reviews = createTokenReviews()
  const requests: FakeApiRequest[] = []
  const connections = new Set<Socket>()
  let token = options.token
  let server: Server | undefined
  let url: string | undefined
  let rules: { rule: FailRule; left: number; until: number }[] = []

  const faults: FakeApiFaults = {
    ...QUIET,
    set stallWatches(stalled: boolean) {
      stalling = stalled
      if (!stalled) streams.flush()
    },
    get stallWatches() {
      return stalling
    },
    dropWatches: (resource) => streams.drop(resource),
    compact: () => store.compact(),
    expireWatches() {
      store.compact()
      streams.expire()
    },
    fail(rule) {
      const until = rule.forMs === undefined ? Number.POSITIVE_INFINITY : clock.now() + rule.forMs
      rules.push({ rule, left: rule.count ?? Number.POSITIVE_INFINITY, until })
    },
    clear() {
      rules = []
      Object.assign(faults, QUIET, { stallWatches: false })
    },
  }
  let stalling = false
  const streams = createWatchStreams({ store, clock, faults, bookmarkEveryMs })
  const handle = createHandler({
    store,
    streams,
    reviews,
    clock,
    faults,
    gracefulDeletion: options.gracefulDeletion ?? false,
    allowed: (sent) => token === undefined || sent === token,
    failing(call, resource) {
      rules = rules.filter(({ left, until }) => left > 0 && clock.now() < until)
      const found = rules.find(
        ({ rule }) => (rule.on ?? call) === call && (rule.resource ?? resource) === resource,
      )
      if (found !== undefined) found.left -= 1
      return found?.rule
    },
  })
  for (const name of ['default', 'kube-system']) {
    store.create(resourceOf('Namespace'), { kind: 'Namespace', metadata: { name } })
  }

  const answer = async (request: ApiRequest): Promise<FakeApiAnswer | undefined> => {
    requests.push({
      method: request.method,
      path: request.path,
      headers: { ...request.headers },
      at: clock.now(),
    })
    if (requests.length > REMEMBERED_REQUESTS) requests.splice(0, REMEMBERED_REQUESTS / 2)
    return faults.outage ? undefined : handle(request)
  }

  const api: FakeApiServer = {
    async listen({ host = '127.0.0.1', port = 0 } = {}) {
      if (server !== undefined) throw new Error('the fake API server listens already')
      const listener = (request: IncomingMessage, response: ServerResponse): void => {
        serve(request, response).catch(() => response.destroy())
      }
      server =
        tls === undefined
          ? createHttpServer(listener)
          : createHttpsServer(
              {
                cert: tls.cert,
                key: tls.key,
                ca: tls.ca,
                requestCert: tls.requireClientCertificate ?? false,
              },
              listener,
            )
      server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
        connections.add(socket)
        socket.setNoDelay(true)
        socket.on('close', () => connections.delete(socket))
      })
      server.listen(port, host)
      await once(server, 'listening')
      const address = server.address() as AddressInfo
      const shownHost = host.includes(':') ? `[${host}]` : host
      url = `${tls === undefined ? 'http' : 'https'}://${shownHost}:${address.port}`
      return { url, port: address.port }
    },
    async close() {
      streams.drop()
      const closing = server
      server = undefined
      if (closing === undefined) return
      const closed = once(closing, 'close')
      closing.close()
      for (const socket of connections) socket.destroy()
      await closed
    },
    connection: () => inMemory(answer, () => token),
    apply(manifest) {
      const resource = resourceOf(manifest.kind)
      const name = manifest.metadata.name ?? ''
      const namespace = resource.namespaced ? (manifest.metadata.namespace ?? 'default') : undefined
      const before = store.get(resource, namespace, name)
      if (before === undefined) return store.create(resource, manifest)
      if (manifest.metadata.uid !== undefined && manifest.metadata.uid !== before.metadata.uid) {
        store.remove(resource, namespace, name)
        return store.create(resource, manifest)
      }
      const metadata = { ...manifest.metadata, name, ...(namespace === undefined ? {} : { namespace }) }
      return store.replace(resource, { ...manifest, apiVersion: before.apiVersion, metadata })
    },
    delete: (kind, namespace, name) => void store.remove(resourceOf(kind), namespace, name),
    get: (kind, namespace, name) => store.get(resourceOf(kind), namespace, name),
    list: (kind, namespace) => store.list(resourceOf(kind), namespace),
    subscribe: (listener) => store.subscribe(({ type, object }: Change) => listener({ type, object })),
    get resourceVersion() {
      return `${store.version}`
    },
    requests,
    get watches() {
      return streams.size
    },
    faults,
    setToken(next) {
      token = next
    },
    addToken: (added, owner) => reviews.add(added, owner),
    removeToken: (removed) => reviews.remove(removed),
    kubeconfig() {
      if (url === undefined) throw new Error('the fake API server has no address before listen()')
      return kubeconfigText({ server: url, token, ca: tls?.ca })
    },
  }
  return api

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const body = await textOf(request)
    if (
      tls?.requireClientCertificate === true &&
      !(request.socket as Socket & { authorized?: boolean }).authorized
    ) {
      response.writeHead(401).end()
      return
    }
    const answered = await answer({
      method: (request.method ?? 'GET') as ApiRequest['method'],
      path: request.url ?? '/',
      headers: flat(request.headers),
      body,
      signal: gone.signal,
    })
    if (answered === undefined || gone.signal.aborted) {
      response.destroy()
      return
    }
    response.writeHead(answered.status, answered.headers)
    await send(answered.body, response, gone.signal)
  }
}

const QUIET = {
  slowListMs: 0,
  duplicateEvents: false,
  reorderEvents: false,
  noBookmarks: false,
  expiredToken: false,
  outage: false,
  goneForm: 'stream',
  stallWatches: false,
} as const satisfies Partial<FakeApiFaults>

function resourceOf(kind: string): Resource {
  const found = RESOURCES.find((resource) => resource.kind === kind)
  if (found === undefined) {
    throw new Error(
      `the fake API server knows no kind ${kind}; it knows ${RESOURCES.map((r) => r.kind).join(', ')}`,
    )
  }
  return found
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const flat = (headers: IncomingMessage['headers']): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )

const LARGE = 64 * 1024

async function send(
  body: FakeApiAnswer['body'],
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (typeof body === 'string') {
    response.end(body)
    return
  }
  response.flushHeaders()
  if (!(Symbol.asyncIterator in body)) {
    let gathered = ''
    for (const piece of body) {
      gathered += piece
      if (gathered.length < LARGE) continue
      if (!response.write(gathered)) await Promise.race([once(response, 'drain'), once(response, 'close')])
      gathered = ''
      if (signal.aborted) return
    }
    response.end(gathered)
    return
  }
  for await (const piece of endedBy(body, signal)) {
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
  }
  response.end()
}

/** The stream until the signal: a client that went away ends the watch, which is asleep. */
async function* endedBy(body: AsyncIterable<string>, signal: AbortSignal | undefined): AsyncIterable<string> {
  const pieces = body[Symbol.asyncIterator]()
  const leave = (): void => void pieces.return?.()
  if (signal?.aborted) leave()
  signal?.addEventListener('abort', leave, { once: true })
  try {
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
  } finally {
    signal?.removeEventListener('abort', leave)
    leave()
  }
}

/** The handler as a connection. Bytes, so that what reads them is exercised as over a socket. */
function inMemory(
  answer: (request: ApiRequest) => Promise<FakeApiAnswer | undefined>,
  token: () => string | undefined,
): ApiConnection {
  return {
    async request(request): Promise<ApiResponse> {
      const bearer = token()
      const authorization = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
      const answered = await answer({ ...request, headers: { ...authorization, ...request.headers } })
      if (answered === undefined) {
        throw new CodedError('CLUSTER_UNREACHABLE', 'the API server closed the connection', {
          retryable: true,
        })
      }
      return {
        status: answered.status,
        headers: answered.headers,
        body: bytes(answered.body, request.signal),
      }
    },
    close: async () => {},
  }
}

async function* bytes(
  body: FakeApiAnswer['body'],
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  if (typeof body === 'string') {
    yield Buffer.from(body)
  } else if (Symbol.asyncIterator in body) {
    for await (const piece of endedBy(body, signal)) yield Buffer.from(piece)
    signal?.throwIfAborted()
  } else {
    for (const piece of body) yield Buffer.from(piece)
  }
}
