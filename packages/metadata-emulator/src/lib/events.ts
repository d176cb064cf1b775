import type { Outcome } from './faults.ts'
import type { RouteName } from './routes.ts'

export type EmulatorEvent = RequestEvent | RejectedEvent | UpstreamEvent | BugEvent

/** One per request that was understood. */
export interface RequestEvent {
  readonly kind: 'request'
  readonly service: 'imds' | 'container'
  readonly route: RouteName | 'container-credentials'
  readonly outcome: Outcome
  readonly status: number
  readonly durationMs: number
  readonly peer: string
  /** `namespace/name`, where the caller is a known pod. */
  readonly pod: string | undefined
  /** Whether the request carried an IMDSv2 token. */
  readonly tokenVersion: 1 | 2
}

/** A connection or a request that never got as far as a route. */
export interface RejectedEvent {
  readonly kind: 'rejected'
  readonly reason:
    | 'too-many-connections'
    | 'too-many-connections-of-peer'
    | 'timeout'
    | 'headers-too-large'
    | 'target-too-long'
    | 'body-too-large'
    | 'unparsable'
    | 'version'
    | 'transfer-encoding'
    | 'connect'
    | 'host'
    | 'upgrade'
    | 'expectation'
    /** By whoever serves health and metrics beside the metadata, on the port of pods. */
    | 'status-rate'
  readonly status: number
  readonly peer: string | undefined
}

/** One per request to the real metadata service, and per request that was `held-back` to spare it. */
export interface UpstreamEvent {
  readonly kind: 'upstream'
  readonly outcome: 'ok' | 'not-found' | 'refused' | 'unavailable' | 'held-back'
  readonly status: number | undefined
  readonly durationMs: number
}

/** Something threw that may not: the request was answered 500. */
export interface BugEvent {
  readonly kind: 'bug'
  readonly error: unknown
}
