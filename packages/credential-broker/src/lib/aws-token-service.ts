import {
  aborted,
  type Clock,
  CodedError,
  type Grant,
  ignoreReports,
  isCoded,
  type Report,
  type RoleArn,
} from '@kube2iam-ts/core'
import { callAssumeRole } from './assume-role-call.ts'
import { createClockCorrection } from './clock-correction.ts'
import { keepCredentials } from './kept-credentials.ts'
import type { NodeCredentials, NodeCredentialsProvider } from './node-credentials.ts'
import { createStsConnection, type StsConnectionOptions } from './sts-connection.ts'
import { reasonOf, serverDateOf, toStsError } from './sts-errors.ts'
import type { IssuedSession, TokenService } from './token-service.ts'
import type { TokenServiceEvent } from './token-service-events.ts'

export interface AwsTokenServiceOptions extends StsConnectionOptions {
  clock: Clock
  nodeCredentials: NodeCredentialsProvider
  /**
   * Whose STS is asked, and what requests are signed for, where the grant names no region. `undefined`: the global
   * endpoint, signed for us-east-1.
   */
  region?: string | undefined
  /** A role that is assumed first, and from which the pods' roles are assumed. */
  intermediateRole?: IntermediateRole | undefined
  report?: Report<TokenServiceEvent>
}

export interface IntermediateRole {
  readonly role: RoleArn
  /** Names the node in CloudTrail. */
  readonly sessionName: string
  readonly externalId?: string | undefined
}

/** The real service. */
export interface AwsTokenService extends TokenService {
  close(): Promise<void>
}

/** Roles that are assumed from a role last an hour at most, and the node's own is a role as a rule. */
const INTERMEDIATE_SECONDS = 3_600

/**
 * STS by the AWS SDK. A call is tried again, once and unseen, only where the first try could not be what was meant:
 * with newer credentials of the node, by STS's clock, or over a new connection. Everything else is the broker's.
 */
export function createAwsTokenService(options: AwsTokenServiceOptions): AwsTokenService {
  const { clock, region, intermediateRole, report = ignoreReports } = options
  const connection = createStsConnection(options)
  const correction = createClockCorrection(clock, report)
  const signer =
    intermediateRole === undefined
      ? options.nodeCredentials
      : keepCredentials(assumed(intermediateRole, options.nodeCredentials), clock)

  /** The intermediate role's sessions as credentials to sign with. */
  function assumed({ role, sessionName, externalId }: IntermediateRole, by: NodeCredentialsProvider) {
    const grant: Grant = {
      role,
      sessionName,
      durationSeconds: INTERMEDIATE_SECONDS,
      externalId,
      sourceIdentity: undefined,
      tags: {},
      transitiveTagKeys: [],
      policyArns: [],
      policy: undefined,
      region: undefined,
    }
    const get: NodeCredentialsProvider['get'] = async ({ signal }) => {
      try {
        return (await assume(grant, by, signal)).credentials
      } catch (error) {
        if (!isCoded(error) || error.retryable) throw error
        // Whatever the reason is, it is the agent's and no pod's: it must not be remembered as a pod's denial.
        const message = `the intermediate role ${role.text} cannot be assumed: ${error.message}`
        throw new CodedError('NODE_CREDENTIALS_UNAVAILABLE', message, { retryable: true, cause: error })
      }
    }
    return { get }
  }

  async function assume(
    grant: Grant,
    by: NodeCredentialsProvider,
    signal: AbortSignal,
  ): Promise<IssuedSession> {
    if (signal.aborted) throw aborted(signal)
    const node = await by.get({ signal })
    let skewMs = 0
    const attempt = async (signed: NodeCredentials) => {
      skewMs = correction.skewMs
      const session = await callAssumeRole(grant, { connection, clock, node: signed, region, skewMs, signal })
      if (session.serverTime !== undefined) correction.learn(session.serverTime)
      return session
    }
    try {
      return await attempt(node)
    } catch (error) {
      const again = await otherwise(error, { node, skewMs }, by, signal)
      if (again === undefined) throw toStsError(error, signal)
      try {
        return await attempt(again)
      } catch (second) {
        throw toStsError(second, signal)
      }
    }
  }

  /** With what a failed call is to be tried again at once; `undefined`: not at all. */
  async function otherwise(
    error: unknown,
    { node, skewMs }: { readonly node: NodeCredentials; readonly skewMs: number },
    by: NodeCredentialsProvider,
    signal: AbortSignal,
  ): Promise<NodeCredentials | undefined> {
    if (signal.aborted) return undefined
    const reason = reasonOf(toStsError(error, signal))
    switch (reason) {
      case 'node-credentials-expired':
      case 'node-credentials-refused': {
        const newer = await by.get({ signal, refused: node.accessKeyId })
        if (newer.accessKeyId === node.accessKeyId) return undefined
        report({
          kind: 'node-credentials-replaced',
          refused: node.accessKeyId,
          accessKeyId: newer.accessKeyId,
        })
        return newer
      }
      case 'clock-skew':
        correction.learn(serverDateOf(error))
        // Not what the node's clock says now but what was signed is what STS refused: it may have been set right since.
        return correction.isAnother(skewMs) ? node : undefined
      // A connection that the other side had closed while it was idle.
      case 'connection-lost':
        return node
      // What is wrong with the request, not with how it was made.
      case 'region-disabled':
      case 'tag-session':
      case 'duration-chained':
      case 'duration-role':
      case 'packed-policy':
      case undefined:
        return undefined
      default:
        return reason satisfies never
    }
  }

  return {
    assumeRole: (grant, { signal }) => assume(grant, signer, signal),

    async warmUp(signal) {
      try {
        const { GetCallerIdentityCommand } = await import('./sts-client.ts')
        const client = await connection.client(await signer.get({ signal }), region, correction.skewMs)
        const { Arn = '', Account = '' } = await client.send(new GetCallerIdentityCommand({}), {
          abortSignal: signal,
        })
        report({ kind: 'node-identified', arn: Arn, account: Account })
      } catch (error) {
        const { code, message } = toStsError(error, signal)
        report({ kind: 'warm-up-failed', code, message })
      }
    },

    async close() {
      connection.close()
    },
  }
}
