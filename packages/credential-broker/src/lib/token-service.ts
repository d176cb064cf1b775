import type { Credentials, Grant } from '@kube2iam-ts/core'

/** A session as STS issued it. */
export interface IssuedSession {
  readonly credentials: Credentials
  /** `arn:aws:sts::…:assumed-role/NAME/SESSION` as STS reported it. */
  readonly assumedRoleArn: string
  /** Percent of the packed size that policies and tags may take; `undefined` where STS did not say. */
  readonly packedPolicySize: number | undefined
  /** The instant of the answer's Date header, for measuring skew; `undefined` where there was none. */
  readonly serverTime: Date | undefined
}

/**
 * Issues sessions. Rejects with a `CodedError`:
 * `STS_DENIED` (refused for good: trust or permission policy), `STS_INVALID` (the request can never succeed),
 * `STS_THROTTLED` and `STS_UNAVAILABLE` (retryable; `detail.retryAfterMs` where the server said so),
 * `STS_BAD_ANSWER` (not understood; retryable), `NODE_CREDENTIALS_UNAVAILABLE` (retryable), `ABORTED`.
 */
export interface TokenService {
  assumeRole(grant: Grant, options: { readonly signal: AbortSignal }): Promise<IssuedSession>
  /** Pays the cold costs (module load, the node's credentials, a connection) ahead of the first call. Never rejects. */
  warmUp(signal: AbortSignal): Promise<void>
}

export type TokenServiceErrorCode =
  | 'STS_DENIED'
  | 'STS_INVALID'
  | 'STS_THROTTLED'
  | 'STS_UNAVAILABLE'
  | 'STS_BAD_ANSWER'
  | 'NODE_CREDENTIALS_UNAVAILABLE'
  | 'ABORTED'
