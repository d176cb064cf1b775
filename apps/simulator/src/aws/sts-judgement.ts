import type { Grant, RoleArn } from '@kube2iam-ts/core'
import type { AssumeRoleRequest, Caller, FakeRole } from '@kube2iam-ts/credential-broker/testing'
import { assumeRole, StsRefusal } from '@kube2iam-ts/credential-broker/testing'
import type { RoleDefinition } from './roles.ts'

export type StsJudgement =
  | { readonly kind: 'issued'; readonly arn: string; readonly packedPolicySize: number | undefined }
  | {
      readonly kind: 'refused'
      readonly status: number
      readonly code: string
      readonly message: string
      /** What the trust policy hangs on that is not known here; nobody is let in by it. Empty: STS would say the same. */
      readonly notJudged: readonly string[]
    }

/** STS's own decision about a grant, without a socket: trust policy, limits and wording of the refusal. */
export interface StsJudge {
  judge(grant: Grant): StsJudgement
  knows(role: RoleArn): boolean
}

export interface StsJudgeOptions {
  readonly roles: readonly RoleDefinition[]
  /** Who asks. */
  readonly nodeRole: RoleArn
  readonly organizationId: string | undefined
  /** Whose endpoint is asked where a grant names none; `undefined`: not known. */
  readonly region: string | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const INSTANCE = 'i-0123456789abcdef0'

/** The roles as STS sees them; the caller is the node's role. */
export function createStsJudge(options: StsJudgeOptions): StsJudge {
  const { roles, nodeRole, organizationId, region, now } = options
  const known = new Map<string, FakeRole & { id: string }>(
    roles.map(({ arn, trustPolicy, maxSessionDurationSeconds }, index) => [
      arn.text,
      {
        arn: arn.text,
        id: `AROAFAKE${String(index).padStart(13, '0')}`,
        trustPolicy,
        ...(maxSessionDurationSeconds === undefined ? {} : { maxSessionDurationSeconds }),
      },
    ]),
  )
  const caller: Caller = {
    arn: `arn:${nodeRole.partition}:sts::${nodeRole.account}:assumed-role/${nodeRole.name}/${INSTANCE}`,
    userId: `AROAFAKENODE00000000:${INSTANCE}`,
    account: nodeRole.account,
    roleArn: nodeRole.text,
    transitiveTags: {},
    sourceIdentity: undefined,
  }
  return {
    knows: (role) => known.has(role.text),
    judge(grant) {
      try {
        const assumed = assumeRole(caller, requestOf(grant), known.get(grant.role.text), ['*'], {
          now: now(),
          region: grant.region ?? region,
          organizationId,
        })
        return { kind: 'issued', arn: assumed.caller.arn, packedPolicySize: assumed.packedPolicySize }
      } catch (error) {
        if (!(error instanceof StsRefusal)) throw error
        const { status, code, message, notJudged } = error
        return { kind: 'refused', status, code, message, notJudged }
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
