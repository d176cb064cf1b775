import type { SessionOwner } from './broker-port.ts'
import type { Urgency } from './call-queue.ts'
import type { CircuitState } from './circuit-breaker.ts'
import type { FailureCode } from './sts-calls.ts'

/** What every event about one session says. No secrets. */
export interface SessionFacts {
  readonly owners: readonly SessionOwner[]
  /** The role's whole ARN. */
  readonly role: string
  readonly sessionName: string
}

/** What the broker has to tell, for the log, the audit record, metrics and the pods' events. */
export type BrokerEvent =
  | (SessionFacts & {
      readonly kind: 'session-issued'
      /** Whether it takes the place of one that was held. */
      readonly renewal: boolean
      /** Why STS was asked. */
      readonly reason: Urgency
      readonly accessKeyId: string
      readonly assumedRoleArn: string
      readonly expiration: Date
      /** From the call's turn to the answer. */
      readonly durationMs: number
      /** Percent, where STS said it. */
      readonly packedPolicySize: number | undefined
    })
  /** A pod was given a session that had been issued before it was an owner. */
  | (SessionFacts & {
      readonly kind: 'session-shared'
      readonly accessKeyId: string
      readonly assumedRoleArn: string
      readonly expiration: Date
    })
  /** STS refuses for good. */
  | (SessionFacts & {
      readonly kind: 'session-denied'
      readonly renewal: boolean
      readonly reason: Urgency
      readonly code: 'STS_DENIED' | 'STS_INVALID'
      readonly message: string
      /** Until when the refusal is remembered. */
      readonly retryInMs: number
    })
  /** STS could not be had; it will be asked again. */
  | (SessionFacts & {
      readonly kind: 'session-failed'
      readonly renewal: boolean
      readonly reason: Urgency
      readonly code: FailureCode
      readonly message: string
      readonly retryInMs: number
      /** For the log's debug level, or a bug's stack. */
      readonly cause: unknown
    })
  /** A session is held no longer. `expired`: although somebody wanted it. */
  | (SessionFacts & {
      readonly kind: 'session-dropped'
      readonly reason: 'released' | 'replaced' | 'unused' | 'expired' | 'closed'
      readonly accessKeyId: string
      readonly expiration: Date
    })
  | { readonly kind: 'circuit-changed'; readonly endpoint: string; readonly state: CircuitState }
  /** STS's clock differs from the node's by more than pods' SDKs can bear. */
  | { readonly kind: 'clock-skewed'; readonly skewMs: number }
