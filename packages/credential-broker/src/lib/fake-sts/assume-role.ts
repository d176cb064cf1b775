import { StsRefusal } from './answers.ts'
import type { AssumeRoleRequest } from './assume-role-request.ts'
import { isLike } from './policy-text.ts'
import type { Caller } from './sessions.ts'
import { judgeTrust, type TrustAction, type TrustPolicy } from './trust-policy.ts'

/** A role that the fake knows. */
export interface FakeRole {
  readonly arn: string
  readonly trustPolicy: TrustPolicy
  /** 3600 unless told, as in IAM. */
  readonly maxSessionDurationSeconds?: number
}

/** What a trust policy may ask beside the request itself. */
export interface Surroundings {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** `undefined`: not known; conditions on it are then not judged. */
  readonly region: string | undefined
  /** The organization of the caller's account; `undefined`: not known. */
  readonly organizationId: string | undefined
}

export interface Assumed {
  readonly caller: Caller
  readonly packedPolicySize: number | undefined
}

/** STS refuses larger policies and tags together; what it packs is not documented, so this is plain bytes. */
const PACKED_BYTES = 4096
const CHAINED_SECONDS = 3600
/** Keys that no AssumeRole of a role's session has, by how they begin; tags that are not given are not there either. */
const ABSENT = [
  'aws:requesttag/',
  'aws:sourcearn',
  'aws:sourceaccount',
  'aws:multifactorauthage',
  'aws:federatedprovider',
  'aws:username',
  'saml:',
  'accounts.google.com:',
  'cognito-identity.amazonaws.com:',
  'oidc.',
]

/** Decides an AssumeRole as STS does; throws the refusal that it would answer. */
export function assumeRole(
  caller: Caller,
  request: AssumeRoleRequest,
  role: (FakeRole & { readonly id: string }) | undefined,
  mayAssume: readonly string[],
  surroundings: Surroundings,
): Assumed {
  const tags = { ...caller.transitiveTags, ...request.tags }
  const clash = Object.keys(request.tags).find((key) => Object.hasOwn(caller.transitiveTags, key))
  if (clash !== undefined) {
    throw new StsRefusal(
      400,
      'InvalidParameterValue',
      `One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.`,
    )
  }
  const context = {
    'sts:externalid': given(request.externalId),
    'sts:rolesessionname': [request.sessionName],
    'sts:sourceidentity': given(request.sourceIdentity),
    'sts:transitivetagkeys': request.transitiveTagKeys.length > 0 ? request.transitiveTagKeys : undefined,
    'aws:principalarn': [caller.roleArn ?? caller.arn],
    'aws:principalaccount': [caller.account],
    'aws:principaltype': [caller.roleArn === undefined ? 'User' : 'AssumedRole'],
    'aws:userid': [caller.userId],
    'aws:currenttime': [new Date(surroundings.now).toISOString()],
    'aws:epochtime': [String(Math.floor(surroundings.now / 1000))],
    'aws:securetransport': ['true'],
    'aws:principalisawsservice': ['false'],
    'aws:viaawsservice': ['false'],
    // A session of an instance's role is one without a second factor.
    ...(caller.roleArn === undefined ? {} : { 'aws:multifactorauthpresent': ['false'] }),
    ...(surroundings.region === undefined ? {} : { 'aws:requestedregion': [surroundings.region] }),
    ...(surroundings.organizationId === undefined
      ? {}
      : { 'aws:principalorgid': [surroundings.organizationId] }),
    'aws:tagkeys': Object.keys(tags).length > 0 ? Object.keys(tags) : undefined,
    ...Object.fromEntries(
      Object.entries(tags).map(([key, value]) => [`aws:requesttag/${key.toLowerCase()}`, [value]]),
    ),
  }
  const requireTrust = (action: TrustAction) => {
    const may = role !== undefined && mayAssume.some((pattern) => isLike(role.arn, pattern))
    const verdict = may
      ? judgeTrust(role.trustPolicy, caller, action, { context, absent: ABSENT })
      : { kind: 'denied' as const }
    if (role === undefined || verdict.kind !== 'allowed') {
      throw new StsRefusal(
        403,
        'AccessDenied',
        `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${request.roleArn}`,
        {},
        verdict.kind === 'not-judged' ? verdict.why : [],
      )
    }
    return role
  }

  const found = requireTrust('sts:AssumeRole')
  if (Object.keys(tags).length > 0) requireTrust('sts:TagSession')
  if (request.sourceIdentity !== undefined) requireTrust('sts:SetSourceIdentity')
  if (caller.roleArn !== undefined && request.durationSeconds > CHAINED_SECONDS) {
    throw new StsRefusal(
      400,
      'ValidationError',
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.',
    )
  }
  if (request.durationSeconds > (found.maxSessionDurationSeconds ?? 3600)) {
    throw new StsRefusal(
      400,
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    )
  }
  const packedPolicySize = packedSize(request)
  if (packedPolicySize !== undefined && packedPolicySize > 100) {
    throw new StsRefusal(
      400,
      'PackedPolicyTooLarge',
      `Packed policy consumes ${packedPolicySize}% of allotted space, please use smaller policy.`,
    )
  }
  return { caller: sessionOf(found, request, tags, caller), packedPolicySize }
}

function sessionOf(
  role: FakeRole & { readonly id: string },
  request: AssumeRoleRequest,
  tags: Readonly<Record<string, string>>,
  by: Caller,
): Caller {
  const { partition, account, name } = partsOf(role.arn)
  const transitive = new Set([...request.transitiveTagKeys, ...Object.keys(by.transitiveTags)])
  return {
    arn: `arn:${partition}:sts::${account}:assumed-role/${name}/${request.sessionName}`,
    userId: `${role.id}:${request.sessionName}`,
    account,
    roleArn: role.arn,
    transitiveTags: Object.fromEntries(Object.entries(tags).filter(([key]) => transitive.has(key))),
    sourceIdentity: request.sourceIdentity ?? by.sourceIdentity,
  }
}

/** The pieces of any IAM or STS ARN that sessions are made of. */
export function partsOf(arn: string): { partition: string; account: string; resource: string; name: string } {
  const [, partition = 'aws', , , account = '', resource = ''] = arn.split(':')
  return { partition, account, resource, name: resource.slice(resource.lastIndexOf('/') + 1) }
}

function packedSize({ policy, policyArns, tags }: AssumeRoleRequest): number | undefined {
  const bytes = [policy ?? '', ...policyArns, ...Object.entries(tags).flat()].join('').length
  return bytes === 0 ? undefined : Math.max(1, Math.ceil((bytes * 100) / PACKED_BYTES))
}

const given = (value: string | undefined): readonly string[] | undefined =>
  value === undefined ? undefined : [value]
