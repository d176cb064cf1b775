import type { BrokerAnswer } from '@kube2iam-ts/credential-broker'
import type { RefusalCode } from '@kube2iam-ts/metadata-emulator'
import type { Lookup } from '@kube2iam-ts/pod-registry'
import type { DenialCode } from '@kube2iam-ts/role-policy'

type Unavailable = Extract<BrokerAnswer, { readonly kind: 'unavailable' }>['code']

/** What the pod is told when its address leads to no pod. */
export function refusalOfLookup(lookup: Exclude<Lookup, { readonly kind: 'found' }>): RefusalCode {
  switch (lookup.kind) {
    case 'unknown':
      return 'pod-unknown'
    case 'node':
      return 'host-network'
    case 'ambiguous':
      return 'pod-ambiguous'
    case 'in-doubt':
      return 'pod-in-doubt'
    case 'not-synced':
    case 'stale':
      return 'not-ready'
    case 'overloaded':
      return 'overloaded'
    default:
      return lookup satisfies never
  }
}

/** What the pod is told when the policy refuses; the operator sees the denial itself. */
export function refusalOfDenial(code: DenialCode): RefusalCode {
  switch (code) {
    case 'no-role':
      return 'no-role'
    case 'host-network':
      return 'host-network'
    case 'role-mismatch':
      return 'role-mismatch'
    case 'annotation-empty':
    case 'annotation-invalid':
    case 'base-arn-missing':
    case 'external-id-invalid':
    case 'session-invalid':
      return 'annotation-invalid'
    case 'namespace-annotation-invalid':
    case 'namespace-denied':
    case 'rule-denied':
    case 'external-id-required':
      return 'namespace-denied'
    default:
      return code satisfies never
  }
}

/** What the pod is told when no session can be had just now. */
export function refusalOfSts(code: Unavailable): RefusalCode {
  switch (code) {
    case 'STS_DENIED':
    case 'STS_INVALID':
      return 'sts-denied'
    case 'STS_THROTTLED':
    case 'STS_UNAVAILABLE':
    case 'STS_BAD_ANSWER':
    case 'NODE_CREDENTIALS_UNAVAILABLE':
    case 'ABORTED':
    case 'CIRCUIT_OPEN':
    case 'BUDGET_EXHAUSTED':
    case 'DEADLINE':
      return 'sts-unavailable'
    default:
      return code satisfies never
  }
}
