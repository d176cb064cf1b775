import type { Grant, RoleArn } from '@kube2iam-ts/core'
import type { AssumeRoleRequest, Caller, FakeRole, TrustPolicy } from '@kube2iam-ts/credential-broker/testing'
import { assumeRole, StsRefusal } from '@kube2iam-ts/credential-broker/testing'
import type { RoleDefinition } from './roles.ts'

export type StsJudgement =
  | { readonly kind: 'issued'; readonly arn: string; readonly packedPolicySize: number | undefined }
  | { readonly kind: 'refused'; readonly status: number; readonly code: string; readonly message: string }

/** STS's own decision about a grant, without a socket: trust policy, limits and wording of the refusal. */
export interface StsJudge {
  judge(grant: Grant): StsJudgement
  knows(role: RoleArn): boolean
}

/** The roles as STS sees them; the caller is the node's role. */
export function createStsJudge(
  roles: readonly RoleDefinition[],
  nodeRole: RoleArn,
  instanceId = 'i-0123456789abcdef0',
): StsJudge {
  const known = new Map<string, FakeRole & { id: string }>(
    roles.map(({ arn, trustPolicy, maxSessionDurationSeconds }, index) => [
      arn.text,
      {
        arn: arn.text,
        id: `AROAFAKE${String(index).padStart(13, '0')}`,
        trustPolicy: trustPolicy as TrustPolicy,
        ...(maxSessionDurationSeconds === undefined ? {} : { maxSessionDurationSeconds }),
      },
    ]),
  )
  const caller: Caller = {
    arn: `arn:${nodeRole.partition}:sts::${nodeRole.account}:assumed-role/${nodeRole.name}/${instanceId}`,
    userId: `AROAFAKENODE00000000:${instanceId}`,
    account: nodeRole.account,
    roleArn: nodeRole.text,
    transitiveTags: {},
    sourceIdentity: undefined,
  }
  return {
    knows: (role) => known.has(role.text),
    judge(grant) {
      try {
        const assumed = assumeRole(caller, requestOf(grant), known.get(grant.role.text), ['*'])
        return { kind: 'issued', arn: assumed.caller.arn, packedPolicySize: assumed.packedPolicySize }
      } catch (error) {
        if (!(error instanceof StsRefusal)) throw error
        return { kind: 'refused', status: error.status, code: error.code, message: error.message }
      }
    },
  }
}

const requestOf = (grant: Grant): AssumeRoleRequest => ({
  roleArn: grant.role.text,
  sessionName: grant.sessionName,
  durationSeconds: grant.durationSeconds,
  externalId: grant.externalId,
  sourceIdentity: grant.sourceIdentity,
  tags: grant.tags,
  transitiveTagKeys: grant.transitiveTagKeys,
  policyArns: grant.policyArns,
  policy: grant.policy,
})
