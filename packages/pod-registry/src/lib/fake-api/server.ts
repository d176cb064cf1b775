import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { systemClock } from '@kube2iam-ts/core'
import type { ApiRequest } from '../api-connection.ts'
import { flat, inMemory, send, textOf } from './answer-body.ts'
import type { FakeApiRequest, FakeApiServer, FakeApiServerOptions, FakeApiTls } from './fake-api-server.ts'
import type { FailRule, FakeApiFaults } from './faults.ts'
import { createHandler, type FakeApiAnswer } from './handler.ts'
import { kubeconfigText } from './kubeconfig-text.ts'
import { type Change, createObjectStore } from './object-store.ts'
import { RESOURCES, type Resource } from './resources.ts'
import { createTestAuthority } from './test-authority.ts'
import { createTokenReviews } from './token-reviews.ts'
import { createWatchStreams } from './watch-streams.ts'
import { createWrites } from './writes.ts'

/** Makes a server with the namespaces `default` and `kube-system`. It has no address before `listen`. */
export function createFakeApiServer(options: FakeApiServerOptions = {}): FakeApiServer {
  const {
    clock = systemClock,
    bookmarkEveryMs = 60_000,
    historyLimit = 10_000,
    requestLimit = 10_000,
  } = options
  let tls = options.tls === true ? ownTls() : options.tls
  const store = createObjectStore({ clock, historyLimit })
  const reviews = createTokenReviews()
  const requests: FakeApiRequest[] = []
  const connections = new Set<Socket>()
  let connected = 0
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
  const writes = createWrites({ store, clock, gracefulDeletion: options.gracefulDeletion ?? false })
  const handle = createHandler({
    store,
    streams,
    reviews,
    clock,
    faults,
    writes,
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
    if (requests.length > requestLimit) requests.splice(0, Math.ceil(requestLimit / 2))
    return faults.outage ? undefined : handle(request)
  }

  const api: FakeApiServer = {
    async listen({ host = '127.0.0.1', port = 0 } = {}) {
      if (server !== undefined) throw new Error('the fake API server listens already')
      const listener = (request: IncomingMessage, response: ServerResponse): void => {
        serve(request, response).catch(() => response.destroy())
      }
      server =
        tls === undefined ? createHttpServer(listener) : createHttpsServer(secureOptions(tls), listener)
      server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
        connections.add(socket)
        connected += 1
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
      writes.close()
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
    get connections() {
      return connected
    },
    faults,
    setToken(next) {
      token = next
    },
    setTls(next) {
      if (tls === undefined || server === undefined)
        throw new Error('the fake API server does not serve HTTPS')
      tls = next
      ;(server as HttpsServer).setSecureContext(secureOptions(next))
      // Connections that stand keep their old certificates; a rotation shows with the next one.
      for (const socket of connections) socket.destroy()
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
    if (tls?.requireClientCertificate === true && !(request.socket as TLSSocket).authorized) {
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

const secureOptions = ({ cert, key, ca, clientCa = ca, requireClientCertificate = false }: FakeApiTls) => ({
  cert,
  key,
  ca: clientCa,
  requestCert: requireClientCertificate,
  // Who has no certificate gets an answer, not a broken handshake: the API server says 401.
  rejectUnauthorized: false,
})

function ownTls(): FakeApiTls {
  const authority = createTestAuthority()
  const hosts = ['localhost', '127.0.0.1', '::1']
  return { ...authority.issue({ commonName: 'fake-api-server', hosts }), ca: authority.ca }
}

const QUIET = {
  slowListMs: 0,
  duplicateEvents: false,
  reorderEvents: false,
  noBookmarks: false,
  leaveOut: undefined,
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
