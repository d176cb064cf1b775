import type { IncomingMessage, ServerResponse } from 'node:http'
import { CodedError } from '@kube2iam-ts/core'
import type { ApiConnection, ApiRequest, ApiResponse } from '../api-connection.ts'
import type { FakeApiAnswer } from './handler.ts'

/** The whole body of a request. */
export async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Headers with one text each. */
export const flat = (headers: IncomingMessage['headers']): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )

const LARGE = 64 * 1024

/** Writes an answer's body, streams as they come. */
export async function send(
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
      if (!response.write(gathered)) await drained(response)
      gathered = ''
      if (signal.aborted) return
    }
    response.end(gathered)
    return
  }
  for await (const piece of endedBy(body, signal)) {
    if (!response.write(piece)) await drained(response)
  }
  response.end()
}

/** Resolves when there is room again, or nobody to send to. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go)
      response.off('close', go)
      resolve()
    }
    response.once('drain', go)
    response.once('close', go)
  })
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
export function inMemory(
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
