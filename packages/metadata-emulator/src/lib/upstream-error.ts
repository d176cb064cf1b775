import { CodedError, isCoded } from '@kube2iam-ts/core'

/** The real metadata service did not answer in time, or not with anything that may be passed on. */
export const upstreamUnavailable = (message: string, cause?: unknown): CodedError<'UPSTREAM_UNAVAILABLE'> =>
  new CodedError('UPSTREAM_UNAVAILABLE', message, { retryable: true, cause })

/** Whether the error is the upstream's, or the client's who hung up: an answer, and not a bug. */
export const isUpstreamError = (error: unknown): boolean =>
  isCoded(error, 'UPSTREAM_UNAVAILABLE') || isCoded(error, 'ABORTED')
