import type { Grant, NamespaceRecord, PodIdentity, RoleArn, ServiceAccountRecord } from '@kube2iam-ts/core'

/** What a decision is made from. */
export interface DecisionInput {
  readonly pod: PodIdentity
  /** `undefined`: not known yet; the decision is then `wait` wherever it matters. */
  readonly namespace: NamespaceRecord | undefined
  readonly serviceAccount: ServiceAccountRecord | undefined
  /** The role that the request names (decoded path segment: name, path/name or ARN); `undefined`: the pod's own. */
  readonly requested: string | undefined
}

/** Stable codes: metrics, logs, events and users' tests name them. */
export type DenialCode =
  | 'no-role'
  | 'host-network'
  | 'annotation-empty'
  | 'annotation-invalid'
  | 'base-arn-missing'
  | 'role-mismatch'
  | 'namespace-annotation-invalid'
  | 'namespace-denied'
  | 'rule-denied'
  | 'external-id-invalid'
  | 'external-id-required'
  | 'session-invalid'

/** Where the role came from, in order of precedence. */
export type RoleSource = 'pod' | 'service-account' | 'namespace-default' | 'default'

export interface Denial {
  readonly kind: 'denied'
  readonly code: DenialCode
  /** For the operator and the pod's owner: what is wrong, where, and what to do. No secrets. Never sent to a pod as a body. */
  readonly message: string
  /** The role in question, where there is one. */
  readonly role: string | undefined
}

export interface Granted {
  readonly kind: 'granted'
  readonly grant: Grant
  readonly role: RoleArn
  readonly source: RoleSource
  /** Audit mode: what `enforce` would have denied. */
  readonly wouldDeny: readonly Denial[]
  /** What was changed to make the session possible (a duration clamped, a session name shortened), for the log. */
  readonly warnings: readonly string[]
}

/** Something that decides is not known yet; ask again when it is. */
export interface Wait {
  readonly kind: 'wait'
  readonly for: 'namespace' | 'service-account' | 'base-arn'
}

export type Decision = Granted | Denial | Wait

/** One rule that was looked at, in order, for `explain`. */
export interface ExplainedRule {
  readonly rule: string
  readonly outcome: 'chosen' | 'passed' | 'failed' | 'skipped' | 'would-fail'
  readonly detail: string
}

export interface Explanation {
  readonly decision: Decision
  readonly rules: readonly ExplainedRule[]
}
