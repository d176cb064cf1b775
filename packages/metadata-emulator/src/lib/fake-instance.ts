import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type Clock, type Random, systemClock } from '@kube2iam-ts/core'
import { leniently, strictly, textAt } from './fake-instance-paths.ts'
import { type FakeInstanceFacts, instanceTree, type NodeCredentials } from './fake-instance-tree.ts'
import { http } from './node-http.ts'
import { upstreamUnavailable } from './upstream-error.ts'
import type { Upstream } from './upstream-port.ts'

export interface FakeInstanceOptions {
  clock?: Clock
  random?: Random
  /** The instance's own role; `undefined` for an instance without a profile. */
  role?: string | undefined
  account?: string
  region?: string
  availabilityZone?: string
  instanceId?: string
  /** `required`: a request without a token is 401, as with `HttpTokens=required`. */
  tokens?: 'optional' | 'required'
  /**
   * Understands what no metadata service should: any case, twice-encoded, doubled slashes, dot segments, path
   * parameters, backslashes, any method. What gets through to it gets everything.
   */
  lenient?: boolean
  /** More leaves, or other texts, by path below the version (`meta-data/spot/instance-action`). */
  metadata?: Readonly<Record<string, string>>
  /** Text that stands in every secret: `canary` unless told. */
  canary?: string
}

/** One request as it arrived. */
export interface RecordedRequest {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly status: number
}

/** What goes wrong; set at any time. */
export interface FakeInstanceFaults {
  /** Connections are cut as soon as a request arrives. */
  down: boolean
  /** Every answer waits this long. */
  slowMs: number
  /** So many of the next token-bearing requests are 401: the tokens were forgotten. */
  unauthorized: number
  /** Every answer's body is padded to this size. */
  bodyBytes: number
}

/** An EC2 instance's metadata service over HTTP. Every secret that it knows contains its canary. */
export interface FakeInstance {
  /** Listens on `127.0.0.1` and a free port unless told. */
  listen(options?: { host?: string; port?: number }): Promise<{ url: string; port: number }>
  close(): Promise<void>
  readonly requests: RecordedRequest[]
  readonly faults: FakeInstanceFaults
  /** The session of the instance's role, for a fake STS to accept. */
  readonly credentials: NodeCredentials
  readonly canary: string
  /** The same instance without a socket: what is asked here is recorded and goes wrong as over HTTP. */
  readonly upstream: Upstream
  /** Sets or removes a leaf below the version (`meta-data/spot/instance-action`). */
  set(path: string, text: string | undefined): void
}

const NOT_FOUND = `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>404 - Not Found</title>
 </head>
 <body>
  <h1>404 - Not Found</h1>
 </body>
</html>
`

export function createFakeInstance(options: FakeInstanceOptions = {}): FakeInstance {
  const { clock = systemClock, random = Math.random, lenient = false, canary = 'canary' } = options
  const facts = factsOf(options, canary)
  const requests: RecordedRequest[] = []
  const faults: FakeInstanceFaults = { down: false, slowMs: 0, unauthorized: 0, bodyBytes: 0 }
  const overrides = new Map<string, string | undefined>(Object.entries(options.metadata ?? {}))
  const tokens = new Map<string, number>()
  const stopped = new AbortController()
  let server: Server | undefined

  const leaves = (): Map<string, string> => {
    const tree = instanceTree(facts, clock.now())
    for (const [path, text] of overrides) {
      if (text === undefined) tree.delete(path)
      else tree.set(path, text)
    }
    return tree
  }

  const answer = ({ method, url, headers }: Asked): Answer => {
    const path = lenient ? leniently(url) : strictly(url)
    const token = headers['x-aws-ec2-metadata-token']
    if (path === '/latest/api/token') {
      if (method !== 'PUT') return { status: 405, body: '', headers: { Allow: 'OPTIONS, PUT' } }
      if (headers['x-forwarded-for'] !== undefined) return { status: 403, body: '' }
      return issue(headers['x-aws-ec2-metadata-token-ttl-seconds'])
    }
    if (!lenient && method !== 'GET' && method !== 'HEAD') return { status: 405, body: '' }
    if (token === undefined) {
      if (options.tokens === 'required') return { status: 401, body: '' }
    } else {
      if (headers['x-forwarded-for'] !== undefined) return { status: 403, body: '' }
      if (faults.unauthorized > 0) {
        faults.unauthorized -= 1
        tokens.clear()
      }
      const expires = tokens.get(String(token))
      if (expires === undefined || expires <= clock.now()) return { status: 401, body: '' }
      const left = Math.floor((expires - clock.now()) / 1000)
      const found = read(path)
      return { ...found, headers: { ...found.headers, 'X-Aws-Ec2-Metadata-Token-Ttl-Seconds': String(left) } }
    }
    return read(path)
  }

  const issue = (ttl: string | string[] | undefined): Answer => {
    if (typeof ttl !== 'string' || !/^\d{1,5}$/.test(ttl) || Number(ttl) < 1 || Number(ttl) > 21_600) {
      return { status: 400, body: '' }
    }
    const bytes = Array.from({ length: 42 }, () => Math.floor(random() * 256))
    const token = Buffer.from(bytes).toString('base64url')
    tokens.set(token, clock.now() + Number(ttl) * 1000)
    return { status: 200, body: token, headers: { 'X-Aws-Ec2-Metadata-Token-Ttl-Seconds': ttl } }
  }

  const read = (path: string | undefined): Answer => {
    const body = path === undefined ? undefined : textAt(path, leaves(), lenient)
    if (body === undefined) return { status: 404, body: NOT_FOUND, headers: { 'Content-Type': 'text/html' } }
    const type = path?.endsWith('/user-data') ? 'application/octet-stream' : 'text/plain'
    return { status: 200, body: body.padEnd(faults.bodyBytes, '.'), headers: { 'Content-Type': type } }
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/', headers } = request
    const { status, body, headers: more } = record({ method, url, headers: { ...headers } })
    if (status === 0) {
      request.socket.destroy()
      return
    }
    if (faults.slowMs > 0) await clock.sleep(faults.slowMs, stopped.signal).catch(() => {})
    response.writeHead(status, { ...HEADERS, 'Content-Length': Buffer.byteLength(body), ...more })
    response.end(body)
  }

  const record = (asked: Asked): Answer => {
    const answered = faults.down ? DEAD : answer(asked)
    requests.push({
      method: asked.method,
      target: asked.url,
      headers: asked.headers,
      status: answered.status,
    })
    return answered
  }

  const upstream: Upstream = {
    async get(path, { signal }) {
      const answered = record({ method: 'GET', url: path, headers: {} })
      if (answered.status === 0) throw upstreamUnavailable('the fake instance is down')
      if (faults.slowMs > 0) {
        await clock.sleep(Math.min(faults.slowMs, UPSTREAM_TIMEOUT_MS), signal)
        if (faults.slowMs > UPSTREAM_TIMEOUT_MS) throw upstreamUnavailable('the fake instance is too slow')
      }
      if (answered.body.length > UPSTREAM_BYTES)
        throw upstreamUnavailable('the fake instance answers too much')
      const headers = { ...HEADERS, ...answered.headers }
      return {
        status: answered.status,
        headers: {
          'content-type': headers['Content-Type'],
          'last-modified': headers['Last-Modified'],
          'accept-ranges': headers['Accept-Ranges'],
        },
        body: Buffer.from(answered.body),
      }
    },
    close: async () => {},
  }

  return {
    requests,
    faults,
    credentials: facts.credentials,
    canary,
    upstream,
    set(path, text) {
      overrides.set(path, text)
    },
    async listen({ host = '127.0.0.1', port = 0 } = {}) {
      const started = http.createServer((request, response) => void serve(request, response))
      server = started
      await new Promise<void>((resolve, reject) => {
        started.once('error', reject)
        started.listen({ host, port }, resolve)
      })
      const address = started.address()
      const bound = typeof address === 'object' && address !== null ? address.port : port
      return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound }
    },
    async close() {
      stopped.abort()
      const stopping = server
      server = undefined
      if (stopping === undefined) return
      stopping.closeAllConnections()
      await new Promise<void>((resolve) => stopping.close(() => resolve()))
    },
  }
}

interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: RecordedRequest['headers']
}

const DEAD: Answer = { status: 0, body: '' }
const HEADERS = {
  'Content-Type': 'text/plain',
  'Accept-Ranges': 'none',
  'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
  Server: 'EC2ws',
}
// What `createInstanceMetadata` waits for and accepts unless told.
const UPSTREAM_TIMEOUT_MS = 800
const UPSTREAM_BYTES = 262_144

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

function factsOf(options: FakeInstanceOptions, canary: string): FakeInstanceFacts {
  const { account = '123456789012', region = 'us-east-1', instanceId = 'i-0123456789abcdef0' } = options
  const role = 'role' in options ? options.role : `${canary}-node-role`
  return {
    account,
    region,
    availabilityZone: options.availabilityZone ?? `${region}a`,
    instanceId,
    role,
    canary,
    credentials: {
      accessKeyId: `ASIA${canary.toUpperCase()}0000000000`.slice(0, 20),
      secretAccessKey: `${canary}/node/secret/`.padEnd(40, '0'),
      sessionToken: `${canary}/node/token/`.padEnd(300, 'A'),
      arn: `arn:aws:sts::${account}:assumed-role/${role ?? 'none'}/${instanceId}`,
    },
  }
}
