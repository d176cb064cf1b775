import { CodedError, isCoded } from '@kube2iam-ts/core'
import type { ApiResponse } from './api-connection.ts'
import type { FeedErrorCode } from './feed.ts'

/** A `Status` object, as an answer or inside an ERROR event. */
export interface StatusJson {
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly details?: { readonly retryAfterSeconds?: number }
}

export type FeedFailure = CodedError<FeedErrorCode>

/** What an answer other than 200 means to a feed. Reads the beginning of its body. */
export async function refused(response: ApiResponse, otherwise: FeedErrorCode): Promise<FeedFailure> {
  let status: StatusJson = {}
  try {
    status = JSON.parse(await beginningOf(response.body)) as StatusJson
  } catch {
    // A proxy's page: its status is all there is to say.
  }
  return failureOf(response.status, status, otherwise, Number(response.headers['retry-after'] ?? Number.NaN))
}

/** What a status code means to a feed: 410 in either form asks for a new list. */
export function failureOf(
  code: number,
  status: StatusJson | undefined,
  otherwise: FeedErrorCode,
  retryAfterSeconds = Number.NaN,
): FeedFailure {
  const seconds = Number.isFinite(retryAfterSeconds) ? retryAfterSeconds : status?.details?.retryAfterSeconds
  const isExpired = code === 410 || status?.reason === 'Expired' || status?.reason === 'Gone'
  const feedCode = isExpired ? 'FEED_EXPIRED' : code === 401 || code === 403 ? 'FEED_FORBIDDEN' : otherwise
  const said = typeof status?.message === 'string' ? `: ${status.message.slice(0, 300)}` : ''
  return new CodedError(feedCode, `the API server answered ${code}${said}`, {
    retryable: true,
    detail: { status: code, reason: status?.reason, retryAfterSeconds: seconds },
  })
}

/** Any error as a feed's failure. */
export function asFailure(error: unknown, otherwise: FeedErrorCode): FeedFailure {
  if (isCoded(error) && isFeedCode(error.code)) return error as FeedFailure
  const message = error instanceof Error ? error.message : String(error)
  return new CodedError(otherwise, message, { retryable: true, cause: error })
}

/** The failure of a request of which nothing was heard. */
export const silence = (code: FeedErrorCode, path: string, ms: number, cause: unknown): FeedFailure =>
  new CodedError(code, `nothing was heard of ${path} for ${ms} ms`, {
    retryable: true,
    cause,
    detail: { silentMs: ms },
  })

/** Whether the request was given up because nothing was heard of it. */
export const wasSilent = (failure: FeedFailure | undefined): boolean =>
  failure?.detail['silentMs'] !== undefined

/** The longest that a server may send us away for. */
const LONGEST_RETRY_AFTER_SECONDS = 300

/** What the server asked us to wait, in milliseconds; 0 where it did not. */
export function retryAfterMs(failure: FeedFailure | undefined): number {
  const seconds = Number(failure?.detail['retryAfterSeconds'])
  return seconds > 0 ? Math.min(seconds, LONGEST_RETRY_AFTER_SECONDS) * 1000 : 0
}

function isFeedCode(code: string): code is FeedErrorCode {
  switch (code as FeedErrorCode) {
    case 'FEED_LIST_FAILED':
    case 'FEED_WATCH_FAILED':
    case 'FEED_EXPIRED':
    case 'FEED_FORBIDDEN':
      return true
    default:
      return false
  }
}

async function beginningOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > 64 * 1024) break
  }
  return Buffer.concat(chunks).toString('utf8')
}
