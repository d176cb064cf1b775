import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import type { AssumeRoleCommandInput, AssumeRoleCommandOutput, STSClient } from '@aws-sdk/client-sts'
import { aborted, type Clock, CodedError, type Grant, Secret, systemClock } from '@kube2iam-ts/core'
import type { NodeCredentialsProvider } from './node-credentials.ts'
import { toStsError } from './sts-errors.ts'
import type { IssuedSession, TokenService } from './token-service.ts'

export interface AwsTokenServiceOptions {
  clock: Clock
  nodeCredentials: NodeCredentialsProvider
  /**
   * Whose STS is asked, and what requests are signed for, where the grant names no region. `undefined`: the global
   * endpoint, signed for us-east-1.
   */
  region?: string | undefined
  /** Asked instead of AWS's own address of any region: `AWS_ENDPOINT_URL_STS`, a VPC endpoint, a test's fake. */
  endpoint?: string | undefined
  /** `sts-fips.…` */
  fips?: boolean
  /** `sts.….api.aws` */
  dualStack?: boolean
  /** `http(s)://…` to go through, and hosts not to (`NO_PROXY` syntax). */
  proxy?: ProxySettings | undefined
  /** PEM certificates to trust beside Node's own: `AWS_CA_BUNDLE`. */
  ca?: string | undefined
  /** For TCP and TLS together; 1,000 unless told. */
  connectTimeoutMs?: number
  /** For one whole call; 5,000 unless told. */
  requestTimeoutMs?: number
  /** Connections kept open at most; 16 unless told. */
  maxConnections?: number
}

export interface ProxySettings {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly none?: string | undefined
}

/** The real service. */
export interface AwsTokenService extends TokenService {
  close(): Promise<void>
}

const GLOBAL_REGION = 'us-east-1'

/** STS by the AWS SDK. It makes one attempt a call: when to try again is the broker's business. */
export function createAwsTokenService(options: AwsTokenServiceOptions): AwsTokenService {
  const { clock, nodeCredentials, connectTimeoutMs = 1_000, requestTimeoutMs = 5_000 } = options
  const clients = new Map<string, Promise<STSClient>>()
  const agentOptions = { keepAlive: true, maxSockets: options.maxConnections ?? 16 }
  const agents = { http: new Agent(agentOptions), https: new TlsAgent(agentOptions) }
  const load = () => import('./sts-client.ts')

  async function createClient(region: string | undefined): Promise<STSClient> {
    const { NodeHttpHandler, STSClient } = await load()
    const { endpoint } = options
    return new STSClient({
      region: region ?? GLOBAL_REGION,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined && endpoint === undefined ? { useGlobalEndpoint: true } : {}),
      useFipsEndpoint: options.fips ?? false,
      useDualstackEndpoint: options.dualStack ?? false,
      credentials: unmemoized(nodeCredentials),
      maxAttempts: 1,
      // All that is given here is not looked for in the environment and in ~/.aws/config.
      retryMode: 'standard',
      defaultsMode: 'standard',
      authSchemePreference: ['sigv4'],
      userAgentAppId: async () => 'kube2iam-ts',
      customUserAgent: [['kube2iam-ts']],
      logger: SILENT,
      requestHandler: new NodeHttpHandler({
        httpAgent: agents.http,
        httpsAgent: agents.https,
        connectionTimeout: connectTimeoutMs,
        requestTimeout: requestTimeoutMs,
        throwOnRequestTimeout: true,
      }),
    })
  }

  function clientFor(region: string | undefined): Promise<STSClient> {
    const key = region ?? ''
    const known = clients.get(key)
    if (known !== undefined) return known
    const client = createClient(region)
    clients.set(key, client)
    return client
  }

  return {
    async assumeRole(grant, { signal }) {
      if (signal.aborted) throw aborted(signal)
      let date: string | undefined
      try {
        const [{ AssumeRoleCommand }, client] = await Promise.all([
          load(),
          clientFor(grant.region ?? options.region),
        ])
        const command = new AssumeRoleCommand(toInput(grant))
        command.middlewareStack.add(
          (next) => async (args) => {
            const result = await next(args)
            date = headersOf(result.response)['date']
            return result
          },
          { step: 'deserialize', priority: 'low' },
        )
        // Signed by the injected clock: the SDK adds this to the system's.
        client.config.systemClockOffset = clock.now() - systemClock.now()
        return toSession(await client.send(command, { abortSignal: signal }), clock, date)
      } catch (error) {
        throw toStsError(error, signal)
      }
    },

    async warmUp(signal) {
      await Promise.allSettled([clientFor(options.region), nodeCredentials.get({ signal })])
    },

    async close() {
      for (const client of clients.values()) (await client).destroy()
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

const ignore = () => {}
const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }

/**
 * The SDK keeps what a provider gave it unless the provider says that it does so itself; the node's secret would
 * then lie in the heap as text for as long as it lives.
 */
function unmemoized(provider: NodeCredentialsProvider) {
  const resolve = async () => {
    const node = await provider.get({ signal: new AbortController().signal })
    return {
      accessKeyId: node.accessKeyId,
      secretAccessKey: node.secretAccessKey.reveal(),
      ...(node.sessionToken === undefined ? {} : { sessionToken: node.sessionToken.reveal() }),
    }
  }
  return Object.assign(resolve, { memoized: true })
}

function toInput(grant: Grant): AssumeRoleCommandInput {
  const tags = Object.entries(grant.tags)
  return {
    RoleArn: grant.role.text,
    RoleSessionName: grant.sessionName,
    DurationSeconds: grant.durationSeconds,
    ExternalId: grant.externalId,
    SourceIdentity: grant.sourceIdentity,
    Tags: tags.length === 0 ? undefined : tags.map(([Key, Value]) => ({ Key, Value })),
    TransitiveTagKeys: grant.transitiveTagKeys.length === 0 ? undefined : [...grant.transitiveTagKeys],
    PolicyArns: grant.policyArns.length === 0 ? undefined : grant.policyArns.map((arn) => ({ arn })),
    Policy: grant.policy,
  }
}

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

function headersOf(response: unknown): Readonly<Record<string, string>> {
  return (response as { headers?: Record<string, string> } | undefined)?.headers ?? {}
}
