import { CodedError, isShortRoleName, resolveRole } from '@kube2iam-ts/core'
import type { SessionContext } from './context.ts'
import { policyInvalid } from './policy-invalid.ts'
import { checkTags } from './session-tags.ts'
import type { PolicySettings, SessionScope } from './settings.ts'
import { isDuration, isPolicyArn, LONGEST_POLICY, MOST_POLICY_ARNS } from './sts-limits.ts'

const FROM_FINE_TO_COARSE: readonly SessionScope[] = ['pod', 'service-account', 'namespace', 'role']

/** Refuses at the start what would make every session fail later; throws `POLICY_INVALID` that says where and what. */
export function checkSettings(settings: PolicySettings, session: SessionContext): void {
  checkDefaultRole(settings)
  for (const field of ['durationSeconds', 'maxDurationSeconds'] as const) {
    if (!isDuration(session[field])) {
      throw policyInvalid(
        `session.${field}`,
        `${session[field]} is not a whole number of 900-43200, which STS takes`,
      )
    }
  }
  if (session.clusterName !== undefined) {
    const tags = checkTags({ 'eks-cluster-name': session.clusterName })
    if (tags.kind === 'invalid') throw policyInvalid('session.clusterName', tags.why)
  }
  if (session.transitiveTags === true && session.tags !== true) {
    throw policyInvalid(
      'session.transitiveTags',
      'there are no tags to pass on: switch session tags on as well',
    )
  }
  checkPolicies(session)
  checkSourceIdentity(session)
}

function checkDefaultRole({ defaultRole, base }: PolicySettings): void {
  if (defaultRole === undefined) return
  try {
    // Whether a short name is one can be said before the base ARN is known.
    if (base !== undefined || !isShortRoleName(defaultRole)) resolveRole(defaultRole, base)
  } catch (error) {
    throw policyInvalid('defaultRole', error instanceof CodedError ? error.message : String(error))
  }
}

function checkPolicies({ policyArns = [], policy }: SessionContext): void {
  if (policyArns.length > MOST_POLICY_ARNS) {
    throw policyInvalid(
      'session.policyArns',
      `STS takes ${MOST_POLICY_ARNS} session policies, not ${policyArns.length}`,
    )
  }
  for (const [index, arn] of policyArns.entries()) {
    if (!isPolicyArn(arn)) throw policyInvalid(`session.policyArns[${index}]`, `"${arn}" is no policy ARN`)
  }
  if (policy === undefined) return
  if (policy.length > LONGEST_POLICY) {
    throw policyInvalid(
      'session.policy',
      `it has ${policy.length} characters, and STS takes ${LONGEST_POLICY}`,
    )
  }
  try {
    JSON.parse(policy)
  } catch {
    throw policyInvalid('session.policy', 'it is not JSON')
  }
}

/** A source identity that tells apart whom the scope puts together would take the shared session apart again. */
function checkSourceIdentity({ sourceIdentity, scope }: SessionContext): void {
  if (sourceIdentity === undefined) return
  if (FROM_FINE_TO_COARSE.indexOf(sourceIdentity) >= FROM_FINE_TO_COARSE.indexOf(scope)) return
  throw policyInvalid(
    'session.sourceIdentity',
    `"${sourceIdentity}" is finer than the session scope "${scope}"; a shared session has one source identity`,
  )
}
