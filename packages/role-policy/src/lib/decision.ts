import type { Grant, NamespaceRecord, PodIdentity, RoleArn, ServiceAccountRecord } from '@kube2iam-ts/core'

/** What a decision is made from. */
export interface DecisionInput {
  readonly pod: PodIdentity
  /** `undefined`: not known yet; the decision is then `wait` wherever it matters. */
  readonly namespace: NamespaceRecord | undefined
  /** `undefined`: not known yet, or not watched; only looked at where settings name a service-account annotation. */
  readonly serviceAccount: ServiceAccountRecord | undefined
  /** The role that the request names (decoded path segment: name, path/name or ARN); `undefined`: the pod's own. */
  readonly requested: string | undefined
  /**
   * What proved who asks: its source address (the default), or a verified token that names the pod. A host-network
   * pod shares its node's address and can only be told by a token.
   */
  readonly identifiedBy?: 'address' | 'token'
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

/** What a decision can be waiting for. */
export type Missing =
  | 'namespace'
  | 'service-account'
  /** Being discovered: settings say `basePending`. */
  | 'base-arn'
  /** Being discovered: settings say `defaultRolePending`. */
  | 'default-role'
  /** The engine that runs regular expressions is being loaded: await `Policy.prepare`, then decide again. */
  | 'pattern-engine'

/** Something that decides is not known yet; ask again when it is. */
export interface Wait {
  readonly kind: 'wait'
  readonly for: Missing
}

export type Decision = Granted | Denial | Wait

/** One rule that was looked at, in order, for `explain`. */
export interface ExplainedRule {
  readonly rule: string
  readonly outcome: 'chosen' | 'passed' | 'failed' | 'skipped' | 'would-fail' | 'waiting'
  readonly detail: string
}

export interface Explanation {
  /** `namespace/name` of the pod, and what was asked for. */
  readonly pod: string
  readonly requested: string | undefined
  readonly decision: Decision
  readonly rules: readonly ExplainedRule[]
}
