import { createHash } from 'node:crypto'
import type { Credentials, RoleArn } from '@kube2iam-ts/core'

/** Whole seconds in UTC, as botocore's `%Y-%m-%dT%H:%M:%SZ` and fluent-bit's `sscanf` want them. */
export const wholeSeconds = (instant: Date | number): string =>
  `${new Date(instant).toISOString().slice(0, 19)}Z`

/** The document of `security-credentials/ROLE`; with the account, of `security-credentials-extended/ROLE`. */
export function credentialDocument(credentials: Credentials, account: string | undefined): Buffer {
  return pretty({
    Code: 'Success',
    LastUpdated: wholeSeconds(credentials.issuedAt),
    Type: 'AWS-HMAC',
    AccessKeyId: credentials.accessKeyId,
    SecretAccessKey: credentials.secretAccessKey.reveal(),
    Token: credentials.sessionToken.reveal(),
    Expiration: wholeSeconds(credentials.expiration),
    ...(account === undefined ? {} : { AccountId: account }),
  })
}

/** What the container-credentials protocol answers: the union of what the ECS and EKS forms carry. */
export function containerDocument(credentials: Credentials, role: RoleArn): Buffer {
  return Buffer.from(
    JSON.stringify({
      AccessKeyId: credentials.accessKeyId,
      SecretAccessKey: credentials.secretAccessKey.reveal(),
      Token: credentials.sessionToken.reveal(),
      Expiration: wholeSeconds(credentials.expiration),
      AccountId: role.account,
      RoleArn: role.text,
    }),
  )
}

/** `iam/info` of the pod's own role. The profile is named after the role: rubygems takes the role from it. */
export function profileInfo(role: RoleArn, now: number): Buffer {
  const digest = createHash('sha256').update(role.text).digest()
  const id = [...digest.subarray(0, 17)].map((byte) => BASE32[byte & 31]).join('')
  return pretty({
    Code: 'Success',
    LastUpdated: wholeSeconds(now),
    InstanceProfileArn: `arn:${role.partition}:iam::${role.account}:instance-profile/${role.name}`,
    InstanceProfileId: `AIPA${id}`,
  })
}

/**
 * What the metadata service answers when STS refuses for good. The one text that names anything; both names come
 * from the API server and are plain by their grammar.
 */
export function assumeRoleRefused(role: string, pod: string, now: number): Buffer {
  return pretty({
    Code: 'AssumeRoleUnauthorizedAccess',
    Message: `The role ${role} cannot be assumed for the pod ${pod}. Check the role's trust policy and the permissions of the node.`,
    LastUpdated: wholeSeconds(now),
  })
}

/** The identity document of the preset `region`. */
export const reducedIdentityDocument = (availabilityZone: string, region: string): Buffer =>
  pretty({ availabilityZone, region })

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Indented by two, a space on both sides of the colon, no final line end: s3fs and shell scripts split on it. */
function pretty(fields: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(fields).map(([key, value]) => `  "${key}" : ${JSON.stringify(value)}`)
  return Buffer.from(`{\n${lines.join(',\n')}\n}`)
}
