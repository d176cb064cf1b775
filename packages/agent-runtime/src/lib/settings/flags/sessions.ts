import type { Flag } from '../flag.ts'
import {
  choice,
  count,
  duration,
  list,
  maybe,
  name,
  optional,
  roleArn,
  text,
  toggle,
  url,
} from '../flag-kinds.ts'

const flag = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({ group: 'sessions', ...row })

const QUARTER_HOUR = 900_000
const TWELVE_HOURS = 43_200_000

/** How sessions are had from STS, and what they look like in CloudTrail. */
export const sessionFlags = {
  iamRoleSessionTtl: flag({
    name: 'iam-role-session-ttl',
    kind: optional(duration(QUARTER_HOUR / 2, TWELVE_HOURS / 2)),
    default: '',
    doc: 'As in kube2iam, half of the duration that is asked of STS; never less than an hour is asked for. Prefer --session-duration, which excludes this.',
    kube2iam: {
      default: '15m0s',
      difference:
        'Sessions last at least an hour and are renewed at half life: SDKs stretch documents with less than 25 minutes left beyond their end. Values that STS refuses are refused at start.',
    },
  }),
  iamRoleErrorTtl: flag({
    name: 'iam-role-error-ttl',
    kind: duration(0, 3_600_000),
    default: '0s',
    doc: 'How long a refusal by STS is remembered for the session that it refused. 0: 30 seconds.',
    kube2iam: {
      difference:
        'Only refusals that last are remembered, under everything that defines the session; kube2iam remembers any error for everybody who uses the role.',
    },
  }),
  sessionDuration: flag({
    name: 'session-duration',
    kind: optional(duration(QUARTER_HOUR, TWELVE_HOURS)),
    default: '',
    doc: 'Duration that is asked of STS. Unset: 1h0m0s, all that role chaining allows. Longer ones are cut to what STS grants, with a warning.',
  }),
  sessionScope: flag({
    name: 'session-scope',
    kind: choice('pod', 'service-account', 'namespace', 'role'),
    default: 'pod',
    doc: 'Who shares a session: by default nobody, so that CloudTrail names the pod. role is what kube2iam does.',
  }),
  sessionTags: flag({
    name: 'session-tags',
    kind: toggle,
    default: 'false',
    doc: 'Tag sessions with namespace, service account, pod and cluster, by the keys that EKS Pod Identity uses.',
  }),
  sessionTransitiveTags: flag({
    name: 'session-transitive-tags',
    kind: toggle,
    default: 'false',
    doc: 'Make session tags follow into roles assumed from the session.',
  }),
  sessionPolicyArns: flag({
    name: 'session-policy-arns',
    kind: list(
      name(
        'a policy ARN',
        /^arn:[a-z-]+:iam::(\d{12}|aws):policy\/[\x21-\x2b\x2d-\x7e]+$/,
        'arn:aws:iam::aws:policy/ReadOnlyAccess',
      ),
    ),
    default: '',
    doc: 'Managed policies that every session is limited to.',
  }),
  sourceIdentity: flag({
    name: 'source-identity',
    kind: choice('none', 'pod', 'service-account', 'namespace'),
    default: 'none',
    doc: 'What sessions carry as their SourceIdentity. The trust policy must allow sts:SetSourceIdentity.',
  }),
  assumeRoleArn: flag({
    name: 'assume-role-arn',
    kind: optional(roleArn),
    default: '',
    doc: "Role that the agent assumes first, and from which it assumes the pods' roles.",
  }),
  region: flag({
    name: 'region',
    kind: optional(name('a region', /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/, 'eu-central-1')),
    default: '',
    doc: "Region of STS. Unset: AWS_REGION, AWS_DEFAULT_REGION, or the metadata service's; where none tells, the global endpoint, or the first region of another partition than aws.",
  }),
  stsEndpoint: flag({
    name: 'sts-endpoint',
    kind: optional(url('https', 'http')),
    default: '',
    doc: 'URL of STS. Unset: AWS_ENDPOINT_URL_STS, or the endpoint of the region.',
    example: 'https://vpce-0a1b.sts.eu-central-1.vpce.amazonaws.com',
  }),
  useRegionalStsEndpoint: flag({
    name: 'use-regional-sts-endpoint',
    kind: maybe,
    default: '',
    doc: "Ask the region's own STS endpoint. Unset: whenever the region is known; false: the global endpoint, which the commercial partition alone has.",
    kube2iam: {
      default: 'false',
      difference: 'Regional by default. In kube2iam 0.15 the flag is read and has no effect.',
    },
  }),
  stsMaxConcurrency: flag({
    name: 'sts-max-concurrency',
    kind: count(1, 1_000),
    default: '8',
    doc: 'How many calls to STS may be under way at once.',
  }),
  stsCallsPerSecond: flag({
    name: 'sts-calls-per-second',
    kind: count(1, 1_000),
    default: '10',
    doc: "This node's budget of calls to STS.",
  }),
  prefetch: flag({
    name: 'prefetch',
    kind: toggle,
    default: 'true',
    doc: 'Fetch the session of a pod as soon as it has an address and may have its role, before it asks, and keep it fresh. With false, and for host-network pods whose role is only a default, it is fetched when the pod asks, and kept fresh for as long as a session lasts after it asked last.',
  }),
  auditLog: flag({
    name: 'audit-log',
    kind: text,
    default: '',
    doc: 'File to which a line of JSON is added for each session issued, renewed or refused, one for each pod that it is for; a pod that is given a session which another one had before has its line then (issued, with the reason shared). The log has them in any case.',
    example: '/var/log/kube2iam/audit.jsonl',
  }),
}
