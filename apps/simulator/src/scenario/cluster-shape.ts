import { toIpAddress } from '@kube2iam-ts/core'
import { DNS_LABEL, DNS_SUBDOMAIN } from '../cluster/kinds.ts'
import { object, optional } from './object-shape.ts'
import type { Shape } from './shape.ts'
import { anything, flag, list, located, looseText, oneOf, record, scalar, text } from './shape.ts'

const NAME = DNS_SUBDOMAIN
export const POD_KEY = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/** `namespace/name`. */
export const podKey: Shape<string> = text('namespace/name of a pod', POD_KEY)

export const ipText: Shape<string> = scalar({
  expected: 'an IPv4 or IPv6 address',
  schema: { type: 'string' },
  parse: (value) => (typeof value === 'string' && toIpAddress(value) !== undefined ? { value } : undefined),
})

const annotations = record(looseText, { keyExpected: 'an annotation' })

/** A pod in short form; what is left out is as in an ordinary running pod. */
export const podShape = object(
  {
    ip: optional(
      list(ipText, { lone: true, max: 4 }),
      'Its address, or several (status.podIPs). Left out: not known yet.',
    ),
    role: optional(looseText, 'The role annotation (iam.amazonaws.com/role).'),
    externalId: optional(looseText, 'The external ID annotation (iam.amazonaws.com/external-id).'),
    annotations: optional(annotations, 'Further annotations.'),
    labels: optional(annotations, 'Labels.'),
    node: optional(text('the name of a node', NAME), 'The node it runs on; node-1 unless told.'),
    serviceAccount: optional(text('the name of a service account', NAME), 'default unless told.'),
    hostNetwork: optional(flag, 'Uses the network of its node, and so its address.'),
    phase: optional(oneOf('Pending', 'Running', 'Succeeded', 'Failed'), 'Running unless told.'),
  },
  { expected: 'a pod (ip, role, annotations, …)' },
)

export const namespaceShape = object(
  {
    allowedRoles: optional(
      list(looseText),
      'The roles its pods may have (iam.amazonaws.com/allowed-roles), as a list.',
    ),
    annotations: optional(annotations, 'Further annotations.'),
    labels: optional(annotations, 'Labels.'),
  },
  { expected: 'a namespace (allowedRoles, annotations)' },
)

export const clusterShape = object({
  namespaces: optional(
    record(namespaceShape, { key: DNS_LABEL, keyExpected: 'the name of a namespace' }),
    'Namespaces with something to say; those that pods name exist by themselves.',
  ),
  serviceAccounts: optional(
    record(object({ annotations: optional(annotations, 'Its annotations.') }), {
      key: POD_KEY,
      keyExpected: 'namespace/name',
    }),
    'Service accounts with annotations.',
  ),
  pods: optional(
    record(podShape, { key: POD_KEY, keyExpected: 'namespace/name' }),
    'Pods that are there at the start.',
  ),
  manifests: optional(
    list(located(text('the path of a YAML or JSON file')), { lone: true }),
    'Kubernetes manifests, or what `kubectl get pods,ns,sa -A -o yaml` wrote; * and ** match files and folders.',
  ),
})

const roleShape = object(
  {
    trust: optional(
      located(anything),
      'The trust policy as IAM JSON. Left out: the node role may assume it.',
    ),
    externalId: optional(looseText, 'Short for a trust policy that demands this sts:ExternalId.'),
    trusts: optional(
      list(looseText, { lone: true }),
      'Short for a trust policy that names these principals.',
    ),
    maxSessionDuration: optional(
      scalar({
        expected: 'seconds from 3600 to 43200',
        schema: { type: 'integer', minimum: 3600, maximum: 43_200 },
        parse: (value) =>
          typeof value === 'number' && Number.isInteger(value) && value >= 3600 && value <= 43_200
            ? { value }
            : undefined,
      }),
      'MaxSessionDuration of the role in seconds.',
    ),
  },
  { expected: 'a role (trust, externalId, trusts, maxSessionDuration), or {}' },
)

export const awsShape = object({
  region: optional(text('a region such as eu-west-1', /^[a-z]{2}(-[a-z]+)+-\d$/), 'eu-west-1 unless told.'),
  account: optional(
    text('an account ID of twelve digits, in quotes', /^\d{12}$/),
    "'123456789012' unless told.",
  ),
  nodeRole: optional(located(looseText), 'The role of the instance; kube-node unless told.'),
  orgId: optional(
    text('the ID of an organization, such as o-a1b2c3d4e5', /^o-[a-z0-9]{10,32}$/),
    'The organization that the accounts are in, for trust policies that ask for aws:PrincipalOrgID.',
  ),
  roles: optional(
    record(roleShape, { keyExpected: 'a role name, path/name or ARN' }),
    'Roles that exist, by name (in `account`) or ARN.',
  ),
  iam: optional(
    list(located(text('the path of a JSON file')), { lone: true }),
    'What `aws iam get-account-authorization-details` wrote; * and ** match.',
  ),
})

export const agentShape = object({
  settings: optional(
    record(looseText, { keyExpected: 'a flag of the agent without its dashes' }),
    'The agent’s flags by name: { default-role: app, namespace-restrictions: true }.',
  ),
  args: optional(
    list(located(looseText)),
    'The agent’s arguments as a DaemonSet has them; a bare --flag is true.',
  ),
  daemonset: optional(
    located(text('the path of a YAML file')),
    'A manifest with the DaemonSet whose container args are taken.',
  ),
  rules: optional(located(anything), 'Policy rules, as under `rules` of the agent’s --config file.'),
  env: optional(
    record(looseText, { keyExpected: 'a variable' }),
    'KUBE2IAM_* and AWS_* variables of the agent.',
  ),
})
