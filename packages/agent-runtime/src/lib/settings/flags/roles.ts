import type { Flag, FlagGroup } from '../flag.ts'
import { baseArn, choice, list, maybe, name, optional, role, text, toggle, toggleOr } from '../flag-kinds.ts'

const flag = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({ group: 'roles', ...row })
const policy = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({
  group: 'policy' satisfies FlagGroup,
  ...row,
})

/** Kubernetes: an optional DNS prefix and a slash, then at most 63 of [A-Za-z0-9_.-]. */
const annotationKey = name(
  'an annotation key',
  /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
  'iam.amazonaws.com/role',
)

/** Which role a pod has. */
export const roleFlags = {
  iamRoleKey: flag({
    name: 'iam-role-key',
    kind: annotationKey,
    default: 'iam.amazonaws.com/role',
    doc: 'Annotation of a pod that names its role: a short name, a path and a name, or an ARN.',
    kube2iam: {},
  }),
  iamExternalId: flag({
    name: 'iam-external-id',
    kind: annotationKey,
    default: 'iam.amazonaws.com/external-id',
    doc: 'Annotation of a pod that names the external ID to assume its role with.',
    kube2iam: {
      difference:
        'Two pods with different external IDs never share a session; kube2iam caches by role alone (jtblin/kube2iam#316).',
    },
  }),
  baseRoleArn: flag({
    name: 'base-role-arn',
    kind: optional(baseArn),
    default: '',
    doc: 'What short role names are completed with. Unset: found out from the metadata service, unless --auto-discover-base-arn=false.',
    kube2iam: {},
    example: 'arn:aws:iam::123456789012:role/',
  }),
  autoDiscoverBaseArn: flag({
    name: 'auto-discover-base-arn',
    kind: maybe,
    default: '',
    doc: 'Find the base ARN out from the metadata service. Unset: tried whenever --base-role-arn is not given; true: the agent is not ready without; false: never.',
    kube2iam: {
      default: 'false',
      difference:
        'Tried by default when --base-role-arn is not given; and a metadata service that does not answer at start is asked again instead of ending the agent.',
    },
  }),
  defaultRole: flag({
    name: 'default-role',
    kind: optional(role),
    default: '',
    doc: 'Role of pods that name none. Unset: they get none.',
    kube2iam: {
      difference:
        'Given only to a pod that is known and has no annotation, never while the pod is unknown (jtblin/kube2iam#80).',
    },
  }),
  autoDiscoverDefaultRole: flag({
    name: 'auto-discover-default-role',
    kind: toggle,
    default: 'false',
    doc: "Use the node's own role, as the metadata service names it, as the default role. Excludes --default-role.",
    kube2iam: {},
  }),
  serviceAccountRoles: flag({
    name: 'service-account-roles',
    kind: toggle,
    default: 'false',
    doc: "Take the role from the pod's service account when the pod names none. Watches service accounts.",
  }),
  serviceAccountRoleKeys: flag({
    name: 'service-account-role-keys',
    kind: list(annotationKey),
    default: 'iam.amazonaws.com/role,eks.amazonaws.com/role-arn',
    doc: 'Annotations of a service account that name the role, in order of precedence.',
  }),
  namespaceDefaultRoleKey: flag({
    name: 'namespace-default-role-key',
    kind: annotationKey,
    default: 'iam.amazonaws.com/default-role',
    doc: 'Annotation of a namespace that names the role of those of its pods that name none.',
  }),
}

/** Which roles a namespace may have. */
export const policyFlags = {
  namespaceRestrictions: policy({
    name: 'namespace-restrictions',
    kind: toggleOr({ true: 'enforce', false: 'off' }, 'off', 'audit', 'enforce'),
    default: 'false',
    doc: 'Whether namespaces restrict the roles of their pods: off, audit (allow, and report what enforce would deny) or enforce. true is enforce, false is off.',
    kube2iam: {
      difference: 'audit is new; patterns match the whole ARN, part by part, instead of any substring of it.',
    },
  }),
  namespaceKey: policy({
    name: 'namespace-key',
    kind: annotationKey,
    default: 'iam.amazonaws.com/allowed-roles',
    doc: 'Annotation of a namespace with the roles that it may have: a JSON array of patterns.',
    kube2iam: {
      difference:
        'An annotation that is not a JSON array of strings denies everything; kube2iam uses what it could read of it.',
    },
  }),
  namespaceRestrictionFormat: policy({
    name: 'namespace-restriction-format',
    kind: choice('glob', 'regexp'),
    default: 'glob',
    doc: 'How the patterns are read: glob or regexp (RE2). Either must match the whole role.',
    kube2iam: {
      difference:
        'Regular expressions are anchored and grouped: app no longer allows app-admin. Those of one annotation are limited in what they may cost together.',
    },
  }),
  namespacePermittedKey: policy({
    name: 'namespace-permitted-key',
    kind: annotationKey,
    default: 'iam.amazonaws.com/permitted',
    doc: "kiam's annotation of a namespace: one regular expression that a role must match as a whole.",
  }),
  sessionNameKey: policy({
    name: 'session-name-key',
    kind: annotationKey,
    default: 'iam.amazonaws.com/session-name',
    doc: "kiam's annotation of a pod with a hint for the session name. The names of namespace and pod stay in it.",
  }),
  sessionTagsKey: policy({
    name: 'session-tags-key',
    kind: optional(annotationKey),
    default: '',
    doc: 'Annotation of a pod with further session tags, a JSON object. Unset: none, for what a pod says of itself proves nothing.',
  }),
  clusterName: policy({
    name: 'cluster-name',
    kind: text,
    default: '',
    doc: 'Name of the cluster, for session tags (eks-cluster-name) and audit records.',
  }),
}
