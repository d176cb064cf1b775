import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '@kube2iam-ts/core'
import type { RejectedEvent } from './events.ts'
import type { RequestHeaders } from './message.ts'
import { http } from './node-http.ts'

/** What llhttp lets pass and we do not; `undefined` where nothing is wrong. */
export function headersFault(
  request: IncomingMessage,
  headers: RequestHeaders,
): RejectedEvent['reason'] | undefined {
  // The parser reads HTTP/2.0 as if it were 1.1.
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') return 'version'
  // RFC 9112 section 6.1: no coding but this one is served, and HTTP/1.0 has none.
  const { transferEncoding } = headers
  if (transferEncoding !== undefined && (transferEncoding !== 'chunked' || request.httpVersion === '1.0')) {
    return 'transfer-encoding'
  }
  // RFC 9112 section 3.2: a request with more than one Host, or an HTTP/1.1 request with none, is a 400.
  if (headers.host === undefined ? request.httpVersion !== '1.0' : headers.host.includes(',')) return 'host'
  // RFC 9110 section 7.8 lets a server ignore an upgrade; h2c is what Java and curl try on a first request.
  return headers.upgrade === undefined || headers.upgrade.toLowerCase() === 'h2c' ? undefined : 'upgrade'
}

/** What Node's parser throws, with the bytes that it had. */
export type ParserError = NodeJS.ErrnoException & { rawPacket?: Buffer }

/** Why the parser gave up, and the status for it. */
export function parserFault(error: ParserError, headerBytes: number): [RejectedEvent['reason'], number] {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return ['timeout', 408]
  if (error.code !== 'HPE_HEADER_OVERFLOW') return ['unparsable', 400]
  const lineEnd = error.rawPacket?.indexOf('\n') ?? 0
  return lineEnd === -1 || lineEnd > headerBytes ? ['target-too-long', 414] : ['headers-too-large', 431]
}

const LINGER_MS = 500

/**
 * An empty answer on a connection that has no response object. What the client is still sending is read and dropped
 * for a moment: closing before it was read would reset the connection, and the answer with it.
 */
export function refuseRaw(socket: Duplex, status: number, clock: Clock): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const lines = [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date(clock.now()).toUTCString()}`,
    'Server: EC2ws',
    'Connection: close',
    'Content-Type: text/plain',
    'Content-Length: 0',
    ...(status === 405 ? ['Allow: GET, HEAD'] : []),
  ]
  const cancel = clock.after(LINGER_MS, () => socket.destroy())
  socket.once('close', cancel)
  socket.once('error', () => socket.destroy())
  socket.resume()
  socket.end(`${lines.join('\r\n')}\r\n\r\n`)
}
