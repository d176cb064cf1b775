import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, type IpAddress, type Report, toIpAddress } from '@kube2iam-ts/core'
import { type ConnectionLimits, createConnectionGate } from './connection-gate.ts'
import type { EmulatorEvent, RejectedEvent } from './events.ts'
import { type EmulatorRequest, type Handler, pickHeaders, type Reply } from './message.ts'
import { http } from './node-http.ts'
import { drainServer } from './drain.ts'

export interface ListenOptions {
  readonly handler: Handler
  /** The address that the rule sends to; never every interface unless somebody says so. */
  readonly host: string
  readonly port: number
  /** Another process may listen beside this one, as the next agent does before this one stops. */
  readonly reusePort?: boolean
  readonly clock: Clock
  readonly report: Report<EmulatorEvent>
  readonly limits?: Partial<ListenerLimits>
}

export interface ListenerLimits extends ConnectionLimits {
  /** All headers together with the request line. */
  readonly headerBytes: number
  readonly bodyBytes: number
  /** From the connection to the end of the headers. */
  readonly headersTimeoutMs: number
  /** From the connection to the end of the request. */
  readonly requestTimeoutMs: number
  /** Nothing sent and nothing received for so long. */
  readonly idleTimeoutMs: number
}

export const defaultListenerLimits: ListenerLimits = {
  connections: 4096,
  connectionsPerPeer: 256,
  headerBytes: 16_384,
  bodyBytes: 65_536,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 8000,
  idleTimeoutMs: 15_000,
}

export interface Listener {
  readonly url: string
  readonly host: string
  readonly port: number
  /** Connections open now. */
  readonly connections: number
  /** Takes no new connection, lets those at work finish for at most `drainMs`, then cuts what is left. */
  close(options?: { drainMs?: number }): Promise<void>
}

/** Serves a handler over HTTP/1.1. Rejects with the system's error where the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { handler, host, port, reusePort = false, clock, report } = options
  const limits: ListenerLimits = { ...defaultListenerLimits, ...options.limits }
  const peers = new WeakMap<Duplex, IpAddress>()
  const gate = createConnectionGate(limits)

  const server = http.createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headersTimeoutMs / 2)),
    keepAlive: false,
    noDelay: true,
    insecureHTTPParser: false,
  })
  server.setTimeout(limits.idleTimeoutMs)

  const rejected = (socket: Duplex, reason: RejectedEvent['reason'], status: number): void => {
    report({ kind: 'rejected', reason, status, peer: peers.get(socket) })
    refuseRaw(socket, status)
  }

  server.on('connection', (socket: Socket) => {
    const peer = toIpAddress(socket.remoteAddress ?? '')
    if (peer === undefined) {
      socket.destroy()
      return
    }
    peers.set(socket, peer)
    const verdict = gate.enter(peer)
    if (verdict !== 'entered') {
      rejected(socket, verdict, 503)
      return
    }
    socket.once('close', () => gate.leave(peer))
  })

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const peer = peers.get(request.socket)
    if (peer === undefined) {
      request.socket.destroy()
      return
    }
    void serve(request, response, peer)
  })

  const serve = async (
    request: IncomingMessage,
    response: ServerResponse,
    peer: IpAddress,
  ): Promise<void> => {
    const { upgrade } = request.headers
    // RFC 9110 section 7.8 lets a server ignore an upgrade; h2c is what Java and curl try on every first request.
    if (upgrade !== undefined && upgrade.toLowerCase() !== 'h2c') {
      rejected(request.socket, 'upgrade', 400)
      return
    }
    if (hasBody(request) && !(await swallow(request, limits.bodyBytes))) {
      rejected(request.socket, 'body-too-large', 413)
      return
    }
    send(response, await handler(asked(request, response, peer)))
  }

  server.on('checkExpectation', (request: IncomingMessage) => rejected(request.socket, 'expectation', 417))
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => rejected(socket, 'connect', 405))
  server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const [reason, status] = parserFault(error)
    rejected(socket, reason, status)
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, reusePort, backlog: 1024 }, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    host,
    port: bound,
    get connections() {
      return gate.open
    },
    close: ({ drainMs = 0 } = {}) => drainServer(server, { clock, drainMs, open: () => gate.open }),
  }
}

function asked(request: IncomingMessage, response: ServerResponse, peer: IpAddress): EmulatorRequest {
  let controller: AbortController | undefined
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    peer,
    headers: pickHeaders(request.rawHeaders),
    get signal() {
      if (controller === undefined) {
        const made = new AbortController()
        controller = made
        if (response.destroyed) made.abort()
        else response.once('close', () => made.abort())
      }
      return controller.signal
    },
  }
}

function send(response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return
  response.writeHead(reply.status, reply.headers as string[])
  response.end(reply.body)
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined ||
  (headers['content-length'] !== undefined && headers['content-length'] !== '0')

/** Reads a body to its end and forgets it; `false` where it is longer than allowed. */
async function swallow(request: IncomingMessage, limit: number): Promise<boolean> {
  let length = 0
  try {
    for await (const chunk of request) {
      length += (chunk as Buffer).length
      if (length > limit) return false
    }
  } catch {
    return true
  }
  return true
}

function parserFault(
  error: NodeJS.ErrnoException & { rawPacket?: Buffer },
): [RejectedEvent['reason'], number] {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return ['timeout', 408]
  if (error.code !== 'HPE_HEADER_OVERFLOW') return ['unparsable', 400]
  const inTarget = error.rawPacket !== undefined && !error.rawPacket.includes('\n')
  return inTarget ? ['target-too-long', 414] : ['headers-too-large', 431]
}

/** An empty answer on a connection that has no response object; what still arrives is read and dropped. */
function refuseRaw(socket: Duplex, status: number): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const lines = [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date().toUTCString()}`,
    'Server: EC2ws',
    'Connection: close',
    'Content-Type: text/plain',
    'Content-Length: 0',
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n`, () => socket.destroy())
}
