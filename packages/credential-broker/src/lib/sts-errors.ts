import { aborted, CodedError, isCoded } from '@kube2iam-ts/core'
import type { TokenServiceErrorCode } from './token-service.ts'

/** A finer reason than the code, in `detail.reason`, for those who can change the request and try again. */
export type StsReason =
  | 'node-credentials-expired'
  | 'node-credentials-refused'
  | 'clock-skew'
  | 'region-disabled'
  | 'tag-session'
  | 'duration-chained'
  | 'duration-role'
  | 'packed-policy'
  | 'connection-lost'

/** The parts of an SDK error that decide. */
interface SdkError extends Error {
  readonly $fault?: 'client' | 'server'
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string }
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> }
  readonly code?: string
}

// STS throttles with HTTP 400 and these codes (botocore's retries/standard.py lists them all).
const THROTTLED = new Set([
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'SlowDown',
  'BandwidthLimitExceeded',
  'LimitExceededException',
  'PriorRequestNotComplete',
])

const CONNECTION_LOST = new Set(['ECONNRESET', 'EPIPE'])

/** The finer reason of a coded error of this module. */
export function reasonOf(error: unknown): StsReason | undefined {
  return isCoded(error) ? (error.detail['reason'] as StsReason | undefined) : undefined
}

/** The instant of the Date header of the answer that an SDK error was made of. */
export function serverDateOf(error: unknown): Date | undefined {
  const header = (error as SdkError | undefined)?.$response?.headers?.['date']
  const date = new Date(header ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** Turns whatever the SDK threw into a coded error: the only place that knows STS's own error names. */
export function toStsError(error: unknown, signal: AbortSignal): CodedError<TokenServiceErrorCode> {
  if (signal.aborted) return aborted(signal)
  if (isCoded<TokenServiceErrorCode>(error)) return error
  if (!(error instanceof Error))
    return coded('STS_UNAVAILABLE', `STS could not be asked: ${String(error)}`, true)
  const { name, message, $metadata, $response } = error as SdkError
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  const requestId = $metadata?.requestId
  const detail = {
    stsCode: name,
    ...(status === undefined ? {} : { status }),
    ...(requestId === undefined ? {} : { requestId }),
    ...retryAfter($response?.headers?.['retry-after']),
  }
  const said = `${name}: ${message}${requestId === undefined ? '' : ` (request ${requestId})`}`
  const fail = (code: TokenServiceErrorCode, what: string, retryable: boolean, reason?: StsReason) =>
    coded(code, what, retryable, withoutAnswer(error), reason === undefined ? detail : { ...detail, reason })

  if (status === undefined) {
    const lost = CONNECTION_LOST.has((error as SdkError).code ?? '')
    return fail(
      'STS_UNAVAILABLE',
      `STS could not be reached: ${said}`,
      true,
      lost ? 'connection-lost' : undefined,
    )
  }
  if (THROTTLED.has(name) || status === 429) {
    return fail('STS_THROTTLED', `STS throttles this account's calls: ${said}`, true)
  }
  if (status >= 500) return fail('STS_UNAVAILABLE', `STS failed: ${said}`, true)
  switch (name) {
    case 'ExpiredToken':
    case 'ExpiredTokenException':
      return fail(
        'NODE_CREDENTIALS_UNAVAILABLE',
        `the agent's own credentials have expired: ${said}`,
        true,
        'node-credentials-expired',
      )
    case 'InvalidClientTokenId':
    case 'UnrecognizedClientException':
    case 'MissingAuthenticationToken':
      return fail(
        'NODE_CREDENTIALS_UNAVAILABLE',
        `STS does not know the agent's own credentials: ${said}`,
        true,
        'node-credentials-refused',
      )
    case 'SignatureDoesNotMatch':
    case 'RequestTimeTooSkewed':
    case 'RequestExpired':
    case 'InvalidSignatureException':
      return /expired|not yet current|skew/i.test(message)
        ? fail(
            'NODE_CREDENTIALS_UNAVAILABLE',
            `this node's clock differs from STS's by more than five minutes: ${said}`,
            true,
            'clock-skew',
          )
        : fail(
            'NODE_CREDENTIALS_UNAVAILABLE',
            `STS does not accept the agent's signature: ${said}`,
            true,
            'node-credentials-refused',
          )
    case 'RegionDisabledException':
      return fail(
        'STS_DENIED',
        `STS is switched off in this region for the account; activate it in IAM's account settings: ${said}`,
        false,
        'region-disabled',
      )
    case 'AccessDenied':
    case 'AccessDeniedException':
      return /sts:TagSession/.test(message)
        ? fail(
            'STS_DENIED',
            `the role's trust policy does not allow session tags; add sts:TagSession to it: ${said}`,
            false,
            'tag-session',
          )
        : fail(
            'STS_DENIED',
            `STS refuses the role; its trust policy must allow the agent's role, and the agent's role must be allowed sts:AssumeRole on it: ${said}`,
            false,
          )
    case 'PackedPolicyTooLarge':
    case 'PackedPolicyTooLargeException':
      return fail(
        'STS_INVALID',
        `session tags and session policies together are larger than STS packs; use fewer or shorter ones: ${said}`,
        false,
        'packed-policy',
      )
    case 'ValidationError':
      if (/role chaining/i.test(message)) {
        return fail(
          'STS_INVALID',
          `a session that is assumed from another role lasts one hour at most: ${said}`,
          false,
          'duration-chained',
        )
      }
      if (/MaxSessionDuration/i.test(message)) {
        return fail(
          'STS_INVALID',
          `the duration is above the role's own maximum; raise its MaxSessionDuration or ask for less: ${said}`,
          false,
          'duration-role',
        )
      }
      return fail('STS_INVALID', `STS calls the request invalid: ${said}`, false)
    default:
      if (status >= 400) return fail('STS_INVALID', `STS refuses the request: ${said}`, false)
      // A success whose body the SDK could not read.
      return fail('STS_BAD_ANSWER', `STS answered something that is not understood: ${said}`, true)
  }
}

/**
 * The SDK hangs the whole exchange on its errors, and with it the request's headers: the node's session token would
 * be printed by whatever prints a cause.
 */
export function withoutAnswer(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  const clean = new Error(error.message)
  clean.name = error.name
  if (error.stack !== undefined) clean.stack = error.stack
  const { code } = error as SdkError
  return code === undefined ? clean : Object.assign(clean, { code })
}

function retryAfter(header: string | undefined): { retryAfterMs?: number } {
  return header !== undefined && /^\d{1,6}$/.test(header) ? { retryAfterMs: Number(header) * 1000 } : {}
}

function coded(
  code: TokenServiceErrorCode,
  message: string,
  retryable: boolean,
  cause?: unknown,
  detail: Readonly<Record<string, unknown>> = {},
): CodedError<TokenServiceErrorCode> {
  return new CodedError(code, message, { retryable, cause, detail })
}
