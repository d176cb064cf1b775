import type { BaseArn } from '@kube2iam-ts/core'

/** Which annotations are read. `undefined` switches the feature off. */
export interface AnnotationKeys {
  /** On pods: `--iam-role-key`. */
  readonly role: string
  /** On pods: `--iam-external-id`. */
  readonly externalId: string | undefined
  /** On pods (kiam): a hint that is appended to the session name. */
  readonly sessionName: string | undefined
  /** On pods: a JSON object of further session tags. Text of the pod's author, therefore off by default. */
  readonly sessionTags: string | undefined
  /** On service accounts: the role of pods that have no annotation. Off by default: it needs a watch of its own. */
  readonly serviceAccountRole: string | undefined
  /** On namespaces: the role of pods that have neither. */
  readonly namespaceRole: string | undefined
  /** On namespaces (kube2iam): a JSON array of patterns. `--namespace-key`. */
  readonly allowedRoles: string
  /** On namespaces (kiam): one regular expression. */
  readonly permitted: string | undefined
}

export const DEFAULT_ANNOTATION_KEYS: AnnotationKeys = {
  role: 'iam.amazonaws.com/role',
  externalId: 'iam.amazonaws.com/external-id',
  sessionName: 'iam.amazonaws.com/session-name',
  sessionTags: undefined,
  serviceAccountRole: undefined,
  namespaceRole: 'iam.amazonaws.com/default-role',
  allowedRoles: 'iam.amazonaws.com/allowed-roles',
  permitted: 'iam.amazonaws.com/permitted',
}

/** `off` is kube2iam's default; `audit` grants and reports what `enforce` would deny. */
export type RestrictionMode = 'off' | 'audit' | 'enforce'

export type PatternFormat = 'glob' | 'regexp'

/** Who shares a session: CloudTrail names this, and `role` is kube2iam's sharing. */
export type SessionScope = 'pod' | 'service-account' | 'namespace' | 'role'

/**
 * One rule of the configuration file. It looks at the pods that its namespaces and service accounts match; every rule
 * that looks at a pod must let it pass, and the shortest duration wins.
 */
export interface PolicyRule {
  /** For logs and explanations; `rule N` unless given. */
  readonly name?: string | undefined
  /** Globs (`*` only) on the namespace's name. All unless given. */
  readonly namespaces?: readonly string[] | undefined
  /** Globs (`*` only) on the service account's name. All unless given. */
  readonly serviceAccounts?: readonly string[] | undefined
  /** Role patterns in glob form, as in the `allowed-roles` annotation. Any role unless given. */
  readonly allowedRoles?: readonly string[] | undefined
  /** The pod must name an external ID. */
  readonly requireExternalId?: boolean | undefined
  /** The external ID that is used; a pod may name no other. */
  readonly externalId?: string | undefined
  /** Sessions last no longer: 900-43200 seconds. */
  readonly maxDurationSeconds?: number | undefined
  /** Managed session policies, added to those of the settings. */
  readonly policyArns?: readonly string[] | undefined
  /** `enforce` unless given. `audit` denies and shapes nothing, and reports what it would. */
  readonly mode?: 'audit' | 'enforce' | undefined
}

export interface SessionSettings {
  /** `pod` unless given. */
  readonly scope?: SessionScope | undefined
  /** What is asked of STS: 3600 unless given. */
  readonly durationSeconds?: number | undefined
  /** What STS would grant at most: 3600 (role chaining's cap) unless given; longer wishes are clamped with a warning. */
  readonly maxDurationSeconds?: number | undefined
  /** Session tags with EKS Pod Identity's keys. Off unless given: the trust policy must allow `sts:TagSession`. */
  readonly tags?: boolean | undefined
  /** Whether those tags are passed on when the session assumes another role. Off unless given. */
  readonly transitiveTags?: boolean | undefined
  /** The value of the `eks-cluster-name` tag; no such tag unless given. */
  readonly clusterName?: string | undefined
  /** Managed session policies of every session. */
  readonly policyArns?: readonly string[] | undefined
  /** An inline session policy (JSON text) of every session. */
  readonly policy?: string | undefined
  /** Whom SourceIdentity names: none unless given; never finer than the scope. */
  readonly sourceIdentity?: Exclude<SessionScope, 'role'> | undefined
  /** The region whose STS endpoint issues the sessions; the broker's own unless given. */
  readonly region?: string | undefined
}

export interface PolicySettings {
  /** What short role names are completed with. `undefined` with `basePending`: being discovered. */
  readonly base?: BaseArn | undefined
  readonly basePending?: boolean | undefined
  /** `--default-role`: the role of pods that name none; exempt from the namespace's annotation, as with kube2iam. */
  readonly defaultRole?: string | undefined
  readonly defaultRolePending?: boolean | undefined
  /** Those of `DEFAULT_ANNOTATION_KEYS` unless given. */
  readonly annotations?: Partial<AnnotationKeys> | undefined
  /** `off` unless given. */
  readonly namespaceRestrictions?: RestrictionMode | undefined
  /** How the `allowed-roles` annotation is written: `glob` unless given. */
  readonly namespaceRestrictionFormat?: PatternFormat | undefined
  readonly rules?: readonly PolicyRule[] | undefined
  readonly session?: SessionSettings | undefined
}

/** The annotations that the policy reads, for whoever keeps records of the objects. */
export interface ReadAnnotations {
  readonly pod: readonly string[]
  readonly namespace: readonly string[]
  readonly serviceAccount: readonly string[]
}

/** The settings' keys over the defaults. */
export function annotationKeys(settings: Pick<PolicySettings, 'annotations'>): AnnotationKeys {
  return { ...DEFAULT_ANNOTATION_KEYS, ...settings.annotations }
}

/** Which annotations of which objects a policy with these settings reads. */
export function readAnnotations(settings: Pick<PolicySettings, 'annotations'>): ReadAnnotations {
  const keys = annotationKeys(settings)
  const present = (...names: (string | undefined)[]) => names.filter((name) => name !== undefined)
  return {
    pod: present(keys.role, keys.externalId, keys.sessionName, keys.sessionTags),
    namespace: present(keys.namespaceRole, keys.allowedRoles, keys.permitted),
    serviceAccount: present(keys.serviceAccountRole),
  }
}
