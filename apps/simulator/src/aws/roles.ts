import type { BaseArn, RoleArn } from '@kube2iam-ts/core'
import { isCoded, resolveRole } from '@kube2iam-ts/core'
import type { TrustPolicy } from '@kube2iam-ts/credential-broker/testing'
import { parseTrustPolicy } from '@kube2iam-ts/credential-broker/testing'
import { dig, digList, digText } from '../cluster/objects.ts'
import { ProblemsError } from '../scenario/problem.ts'

/** A role as IAM has it, as far as STS looks at it. */
export interface RoleDefinition {
  readonly arn: RoleArn
  readonly trustPolicy: TrustPolicy
  readonly maxSessionDurationSeconds: number | undefined
}

export interface ShortTrust {
  readonly externalId?: string
  readonly trusts?: readonly string[]
}

/** The trust policy that the short form stands for; the node role is trusted where nothing else is said. */
export function trustPolicyOf({ externalId, trusts }: ShortTrust, nodeRole: RoleArn): TrustPolicy {
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: trusts ?? [nodeRole.text] },
        Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
        ...(externalId === undefined
          ? {}
          : { Condition: { StringEquals: { 'sts:ExternalId': externalId } } }),
      },
    ],
  }
}

/** Reads what `aws iam get-account-authorization-details` (or `list-roles`, or `get-role`) wrote. */
export function parseIamDocument(text: string, file: string): readonly RoleDefinition[] {
  const fail = (message: string, path = ''): never => {
    throw new ProblemsError([{ file, line: 1, column: 1, path, message }])
  }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    return fail(`not valid JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const single = dig(document, 'Role')
  const roles =
    single === undefined ? [...digList(document, 'RoleDetailList'), ...digList(document, 'Roles')] : [single]
  if (roles.length === 0) {
    return fail(
      'expected RoleDetailList, as `aws iam get-account-authorization-details --filter Role` writes it, with at least one role',
    )
  }
  return roles.map((role, index) => {
    const path = `RoleDetailList[${index}]`
    const arnText = digText(role, 'Arn') ?? fail('expected the ARN of the role', `${path}.Arn`)
    const policy = dig(role, 'AssumeRolePolicyDocument')
    if (policy === undefined) fail('expected a trust policy', `${path}.AssumeRolePolicyDocument`)
    const duration = dig(role, 'MaxSessionDuration')
    // IAM's own API answers with the document percent-encoded; the command line decodes it.
    const document = typeof policy === 'string' ? decode(policy) : policy
    const trust = parseTrustPolicy(document)
    if (trust.kind === 'invalid') {
      const where = `${path}.AssumeRolePolicyDocument${trust.path === '' ? '' : `.${trust.path}`}`
      return fail(`${trust.message} (role ${arnText})`, where)
    }
    return {
      arn: roleOrFail(arnText, undefined, (message) => fail(message, `${path}.Arn`)),
      trustPolicy: trust.policy,
      maxSessionDurationSeconds: typeof duration === 'number' ? duration : undefined,
    }
  })
}

/** The role, or what `fail` makes of the reason. */
export function roleOrFail(
  text: string,
  base: BaseArn | undefined,
  fail: (message: string) => never,
): RoleArn {
  try {
    return resolveRole(text, base)
  } catch (error) {
    if (isCoded(error)) return fail(error.message)
    throw error
  }
}

/** `undefined` where it is no JSON. */
function decode(text: string): unknown {
  try {
    return JSON.parse(text.startsWith('%') ? decodeURIComponent(text) : text)
  } catch {
    return undefined
  }
}
