import { CodedError } from '@kube2iam-ts/core'

/** A setting that cannot be used; code `POLICY_INVALID`. `path` is where it stands, as `rules[0].allowedRoles[2]`. */
export function policyInvalid(path: string, why: string): CodedError<'POLICY_INVALID'> {
  return new CodedError('POLICY_INVALID', `${path}: ${why}`, { detail: { path } })
}
