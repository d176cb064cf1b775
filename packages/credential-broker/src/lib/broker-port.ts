import type { Credentials, Grant } from '@kube2iam-ts/core'
import type { TokenServiceErrorCode } from './token-service.ts'

/** For whom a session is held: named in the audit record, and what ends the session's upkeep when it goes. */
export interface SessionOwner {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
}

export type BrokerAnswer =
  | { readonly kind: 'credentials'; readonly credentials: Credentials; readonly assumedRoleArn: string }
  /** Refused for good until somebody changes something; remembered for a while under the grant's whole key. */
  | {
      readonly kind: 'denied'
      readonly code: 'STS_DENIED' | 'STS_INVALID'
      /** For log and event, from STS's own error with its request ID; never a body. */
      readonly message: string
    }
  /** Nothing valid is held and none can be had just now. `waited`: the caller's deadline passed while a call was in flight. */
  | {
      readonly kind: 'unavailable'
      readonly code: TokenServiceErrorCode | 'CIRCUIT_OPEN' | 'BUDGET_EXHAUSTED' | 'DEADLINE'
      readonly message: string
    }

export interface BrokerRequest {
  readonly owner: SessionOwner
  /** The caller hung up. Ends this caller's wait and nothing else. */
  readonly signal: AbortSignal
  /** How long this caller can wait, in `Clock.monotonic` milliseconds. */
  readonly deadline: number
}

/** Holds sessions: one per grant key, fetched by one call owned by no caller, renewed early while somebody wants it. */
export interface Broker {
  credentials(grant: Grant, request: BrokerRequest): Promise<BrokerAnswer>
  /** The pod may have this session and will want it: fetch it ahead (jittered, capped) and keep it fresh. Replaces what the pod wanted before. */
  want(owner: SessionOwner, grant: Grant): void
  /** The pod is gone, or policy withdrew its grant: what only it wanted is dropped at once. */
  release(uid: string): void
  /** Pays the cold costs (module load, connection) before the first pod asks. Never rejects. */
  warmUp(signal: AbortSignal): Promise<void>
  /** Sessions held, without secrets. */
  sessions(): readonly HeldSession[]
  /** Stops refreshing and aborts what is in flight. */
  close(): Promise<void>
}

export interface HeldSession {
  readonly key: string
  readonly role: string
  readonly sessionName: string
  readonly accessKeyId: string
  readonly issuedAt: Date
  readonly expiration: Date
  readonly owners: readonly string[]
}
