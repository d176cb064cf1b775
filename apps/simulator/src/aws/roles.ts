import type { BaseArn, RoleArn } from '@kube2iam-ts/core'
import { isCoded, resolveRole } from '@kube2iam-ts/core'
import { dig, digList, digText } from '../cluster/objects.ts'
import { ProblemsError } from '../scenario/problem.ts'

/** A role as IAM has it, as far as STS looks at it. */
export interface RoleDefinition {
  readonly arn: RoleArn
  /** The trust policy: an IAM policy document. */
  readonly trustPolicy: unknown
  readonly maxSessionDurationSeconds: number | undefined
}

export interface ShortTrust {
  readonly trust?: { readonly plain: unknown }
  readonly externalId?: string
  readonly trusts?: readonly string[]
}

/** The trust policy that the short form stands for; the node role is trusted where nothing else is said. */
export function trustPolicyOf({ trust, externalId, trusts }: ShortTrust, nodeRole: RoleArn): unknown {
  if (trust !== undefined) return trust.plain
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
    return {
      arn: roleOrFail(arnText, undefined, (message) => fail(message, `${path}.Arn`)),
      // IAM's own API answers with the document percent-encoded; the command line decodes it.
      trustPolicy:
        typeof policy === 'string' ? decode(policy, () => fail('expected a trust policy', path)) : policy,
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

function decode(text: string, fail: () => never): unknown {
  try {
    return JSON.parse(text.startsWith('%') ? decodeURIComponent(text) : text)
  } catch {
    return fail()
  }
}
