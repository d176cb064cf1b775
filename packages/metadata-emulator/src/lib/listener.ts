import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, type IpAddress, type Report, toIpAddress } from '@kube2iam-ts/core'
import { AskedRequest, hasBody, swallow } from './asked-request.ts'
import { type ConnectionLimits, createConnectionGate } from './connection-gate.ts'
import { drainServer } from './drain.ts'
import type { EmulatorEvent, RejectedEvent } from './events.ts'
import { type Handler, pickHeaders, type Reply } from './message.ts'
import { http } from './node-http.ts'
import { headersFault, type ParserError, parserFault, refuseRaw } from './refusals.ts'

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
  /** Connections that were refused, and whose clients have yet to read that; more are closed without a word. */
  readonly refusedConnections: number
  /** All headers together with the request line. */
  readonly headerBytes: number
  readonly bodyBytes: number
  /** From the connection to the end of the headers. */
  readonly headersTimeoutMs: number
  /** From the connection to the end of the request. */
  readonly requestTimeoutMs: number
  /** A client that takes nothing of its answer for so long is cut. */
  readonly idleTimeoutMs: number
}

export const defaultListenerLimits: ListenerLimits = {
  connections: 4096,
  connectionsPerPeer: 256,
  refusedConnections: 128,
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
  const open = new Map<Duplex, Connection>()
  const gate = createConnectionGate(limits)

  const server = http.createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headersTimeoutMs / 2)),
    noDelay: true,
    insecureHTTPParser: false,
    // HTTP/1.0 may come without (row 100); HTTP/1.1 is checked below, and refused in our own form.
    requireHostHeader: false,
  })
  // Node drops headers beyond its count silently: one that is dropped cannot be refused. Bytes are bounded anyway.
  server.maxHeadersCount = 0
  // As the metadata service does, each connection carries one request; what is sent behind it is not looked at.
  server.maxRequestsPerSocket = 1

  const reject = (socket: Duplex, reason: RejectedEvent['reason'], status: number): void => {
    const connection = open.get(socket)
    if (connection?.refused === true) return
    if (connection !== undefined) connection.refused = true
    report({ kind: 'rejected', reason, status, peer: connection?.peer })
    refuseRaw(socket, status, clock)
  }

  // One for all sockets: a pod's every request is a connection, and a closure for each of them is the collector's work.
  function leave(this: Socket): void {
    const connection = open.get(this)
    if (connection === undefined) return
    open.delete(this)
    if (connection.counted) gate.leave(connection.peer)
  }

  server.on('connection', (socket: Socket) => {
    const peer = toIpAddress(socket.remoteAddress ?? '')
    if (peer === undefined) {
      socket.destroy()
      return
    }
    const verdict = gate.enter(peer)
    open.set(socket, { peer, counted: verdict === 'entered', refused: false })
    socket.on('close', leave)
    if (verdict === 'entered') return
    if (open.size - gate.open <= limits.refusedConnections) reject(socket, verdict, 503)
    else {
      report({ kind: 'rejected', reason: verdict, status: 503, peer })
      socket.destroy()
    }
  })

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    const connection = open.get(socket)
    if (connection === undefined || connection.refused) return
    const headers = pickHeaders(request.rawHeaders)
    const fault = headersFault(request, headers)
    if (fault !== undefined) {
      reject(socket, fault, 400)
      return
    }
    const asked = new AskedRequest(request, response, connection.peer, headers)
    if (hasBody(headers)) void answerAfterBody(request, asked, response, socket)
    else void answer(asked, response, socket)
  })

  const answer = async (asked: AskedRequest, response: ServerResponse, socket: Socket): Promise<void> => {
    try {
      send(response, socket, await handler(asked), limits.idleTimeoutMs)
    } catch (error) {
      // The handler never rejects, so this is a reply that HTTP cannot carry. One client loses one answer.
      report({ kind: 'bug', error })
      socket.destroy()
    }
  }

  const answerAfterBody = async (
    request: IncomingMessage,
    asked: AskedRequest,
    response: ServerResponse,
    socket: Socket,
  ): Promise<void> => {
    if (await swallow(request, limits.bodyBytes)) await answer(asked, response, socket)
    else reject(socket, 'body-too-large', 413)
  }

  server.on('checkExpectation', ({ socket }: IncomingMessage) => reject(socket, 'expectation', 417))
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => reject(socket, 'connect', 405))
  server.on('clientError', (error: ParserError, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const [reason, status] = parserFault(error, limits.headerBytes)
    reject(socket, reason, status)
  })

  await new Promise<void>((resolve, fail) => {
    server.once('error', fail)
    server.listen({ host, port, reusePort, backlog: 1024 }, () => {
      server.removeListener('error', fail)
      resolve()
    })
  })
  // Accepting fails when file descriptors run out, and goes on when there are some again.
  server.on('error', (error) => report({ kind: 'bug', error }))
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

interface Connection {
  readonly peer: IpAddress
  /** Whether the gate let it in, and is to be told when it goes. */
  readonly counted: boolean
  /** Answered before it got to a request: whatever else arrives is not looked at. */
  refused: boolean
}

function send(response: ServerResponse, socket: Socket, reply: Reply, idleTimeoutMs: number): void {
  if (response.destroyed) return
  response.writeHead(reply.status, reply.headers as string[])
  response.end(reply.body)
  // Nearly every answer is in the kernel's hands by now. A timer is for a client that does not take its own.
  if (socket.writableLength > 0) socket.setTimeout(idleTimeoutMs)
}
