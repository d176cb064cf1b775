import type { AssumeRoleCommandInput, AssumeRoleCommandOutput } from '@aws-sdk/client-sts'
import { type Clock, CodedError, type Grant, Secret } from '@kube2iam-ts/core'
import type { NodeCredentials } from './node-credentials.ts'
import type { StsConnection } from './sts-connection.ts'
import type { IssuedSession } from './token-service.ts'

export interface AssumeRoleCall {
  readonly connection: StsConnection
  readonly clock: Clock
  readonly node: NodeCredentials
  /** Where the grant names none. */
  readonly region: string | undefined
  /** By how much the signature is dated otherwise than by the node's clock. */
  readonly skewMs: number
  readonly signal: AbortSignal
}

/** One AssumeRole over the wire; rejects with whatever the SDK throws, or with `STS_BAD_ANSWER`. */
export async function callAssumeRole(grant: Grant, call: AssumeRoleCall): Promise<IssuedSession> {
  const { connection, clock, node, region, skewMs, signal } = call
  const { AssumeRoleCommand } = await import('./sts-client.ts')
  const client = await connection.client(node, grant.region ?? region, skewMs)
  const command = new AssumeRoleCommand(toInput(grant))
  let date: string | undefined
  // The only way to the headers of a success.
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      date = (result.response as { headers?: Record<string, string> } | undefined)?.headers?.['date']
      return result
    },
    { step: 'deserialize', priority: 'low' },
  )
  return toSession(await client.send(command, { abortSignal: signal }), clock, date)
}

function toInput(grant: Grant): AssumeRoleCommandInput {
  const { tags, transitiveTagKeys, policyArns } = grant
  return {
    RoleArn: grant.role.text,
    RoleSessionName: grant.sessionName,
    DurationSeconds: grant.durationSeconds,
    ExternalId: grant.externalId,
    SourceIdentity: grant.sourceIdentity,
    Policy: grant.policy,
    Tags: unlessEmpty(Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))),
    TransitiveTagKeys: unlessEmpty([...transitiveTagKeys]),
    PolicyArns: unlessEmpty(policyArns.map((arn) => ({ arn }))),
  }
}

const unlessEmpty = <T>(list: T[]): T[] | undefined => (list.length === 0 ? undefined : list)

function toSession(output: AssumeRoleCommandOutput, clock: Clock, date: string | undefined): IssuedSession {
  const { Credentials: issued, AssumedRoleUser: user, PackedPolicySize: packedPolicySize } = output
  const serverTime = date === undefined ? Number.NaN : Date.parse(date)
  if (
    !issued?.AccessKeyId ||
    !issued.SecretAccessKey ||
    !issued.SessionToken ||
    !issued.Expiration ||
    Number.isNaN(issued.Expiration.getTime()) ||
    !user?.Arn
  ) {
    throw new CodedError('STS_BAD_ANSWER', 'STS answered 200 without a whole set of credentials', {
      retryable: true,
      detail: { requestId: output.$metadata.requestId },
    })
  }
  return {
    credentials: {
      accessKeyId: issued.AccessKeyId,
      secretAccessKey: new Secret(issued.SecretAccessKey),
      sessionToken: new Secret(issued.SessionToken),
      issuedAt: new Date(clock.now()),
      expiration: issued.Expiration,
    },
    assumedRoleArn: user.Arn,
    packedPolicySize,
    serverTime: Number.isNaN(serverTime) ? undefined : new Date(serverTime),
  }
}
