import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { Socket } from 'node:net'
import type { STSClient } from '@aws-sdk/client-sts'
import { type Clock, systemClock } from '@kube2iam-ts/core'
import type { NodeCredentials } from './node-credentials.ts'

export interface StsConnectionOptions {
  clock: Clock
  /**
   * Asked instead of AWS's own address of any region: `AWS_ENDPOINT_URL_STS`, a VPC endpoint, a test's fake.
   */
  endpoint?: string | undefined
  /** `sts-fips.…` */
  fips?: boolean
  /** `sts.….api.aws` */
  dualStack?: boolean
  /** Needs Node 22.21, 24.5 or newer. */
  proxy?: ProxySettings | undefined
  /** PEM certificates to trust instead of Node's own, as `AWS_CA_BUNDLE` means it. */
  ca?: string | undefined
  /** For TCP and TLS together; 1,000 unless told. */
  connectTimeoutMs?: number
  /** For one whole call; 5,000 unless told. */
  requestTimeoutMs?: number
  /** Connections kept open at most; 16 unless told. */
  maxConnections?: number
}

/** What goes through which proxy (`http://host:port`), and hosts that go through none (`NO_PROXY` syntax). */
export interface ProxySettings {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly none?: string | undefined
}

/** What commands are sent to: the part of an SDK client that this package uses. */
export type StsClient = Pick<STSClient, 'send' | 'config' | 'middlewareStack'>

/** The sockets to STS, kept open between calls, and the clients that use them. */
export interface StsConnection {
  /**
   * A client that signs with exactly these credentials, for the region (`undefined`: the global endpoint), and dates its
   * signatures by the node's clock plus `skewMs`.
   */
  client(node: NodeCredentials, region: string | undefined, skewMs: number): Promise<StsClient>
  close(): void
}

/** The global endpoint is signed for this region. */
const GLOBAL_REGION = 'us-east-1'

/** Opens nothing yet: the SDK is loaded and the first socket opened by the first call. */
export function createStsConnection(options: StsConnectionOptions): StsConnection {
  const { clock, endpoint, ca, proxy } = options
  const proxyEnv = { HTTP_PROXY: proxy?.http, HTTPS_PROXY: proxy?.https, NO_PROXY: proxy?.none }
  const shared = {
    keepAlive: true,
    maxSockets: options.maxConnections ?? 16,
    ...(proxy === undefined ? {} : { proxyEnv }),
  }
  const httpAgent = new Agent(shared)
  const httpsAgent = new TlsAgent({ ...shared, ...(ca === undefined ? {} : { ca }) })
  for (const agent of [httpAgent, httpsAgent])
    limitConnecting(agent, options.connectTimeoutMs ?? 1_000, clock)

  return {
    async client(node, region, skewMs) {
      const { NodeHttpHandler, STSClient } = await import('./sts-client.ts')
      // A client for each call costs 0.2 ms and keeps nothing: no secret stays in the heap as text, and no call can
      // be signed with what another one was given.
      const client = new STSClient({
        region: region ?? GLOBAL_REGION,
        ...(endpoint === undefined ? { useGlobalEndpoint: region === undefined } : { endpoint }),
        useFipsEndpoint: options.fips ?? false,
        useDualstackEndpoint: options.dualStack ?? false,
        credentials: givenCredentials(node),
        // Signatures are dated by the injected clock, corrected by what STS says; the SDK adds this to the system's.
        systemClockOffset: clock.now() + skewMs - systemClock.now(),
        disableClockSkewCorrection: false,
        // One attempt: when to try again is the broker's business.
        maxAttempts: 1,
        // All that is given from here on is not looked for in the environment and in ~/.aws/config.
        ignoreConfiguredEndpointUrls: true,
        retryMode: 'standard',
        defaultsMode: 'standard',
        authSchemePreference: ['sigv4'],
        userAgentAppId: async () => 'kube2iam-ts',
        logger: SILENT,
        requestHandler: new NodeHttpHandler({
          httpAgent,
          httpsAgent,
          requestTimeout: options.requestTimeoutMs ?? 5_000,
          throwOnRequestTimeout: true,
        }),
      })
      const { sessionToken } = node
      if (sessionToken !== undefined) {
        // Put there before the request is signed, which covers it. Left to the signer, the token would become part of
        // the text that it remembers its keys under, and stay in the heap for ever.
        client.middlewareStack.add(
          (next) => (args) => {
            headersOf(args.request)[TOKEN_HEADER] = sessionToken.reveal()
            return next(args)
          },
          { step: 'build' },
        )
      }
      // The options of the request that opened a socket stay with the socket, its headers among them.
      client.middlewareStack.add(
        (next) => async (args) => {
          try {
            return await next(args)
          } finally {
            const headers = headersOf(args.request)
            for (const name of [TOKEN_HEADER, 'authorization']) delete headers[name]
          }
        },
        { step: 'deserialize', priority: 'low' },
      )
      return client
    },
    close() {
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

/** The host that calls for a region go to, for a log line at the start. */
export async function stsEndpoint(
  options: Pick<StsConnectionOptions, 'endpoint' | 'fips' | 'dualStack'>,
  region: string | undefined,
): Promise<string> {
  if (options.endpoint !== undefined) return options.endpoint
  const { STSClient } = await import('./sts-client.ts')
  const { config } = new STSClient({ region: region ?? GLOBAL_REGION, credentials: async () => NOBODY })
  return config.endpointProvider({
    Region: region ?? GLOBAL_REGION,
    UseGlobalEndpoint: region === undefined,
    UseFIPS: options.fips ?? false,
    UseDualStack: options.dualStack ?? false,
  }).url.href
}

const NOBODY = { accessKeyId: '', secretAccessKey: '' }
const ignore = () => {}
const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }

const TOKEN_HEADER = 'x-amz-security-token'

const headersOf = (request: unknown): Record<string, string> =>
  (request as { headers: Record<string, string> }).headers

/**
 * Ends a TCP connection attempt that takes too long. The SDK's own time-out for it leaves a listener on the socket
 * that holds the first request, and with it the node's token, for as long as the connection is kept open.
 */
function limitConnecting(agent: Agent, ms: number, clock: Clock): void {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => {
    const socket = connect(...args)
    // Through a proxy the socket comes later, by callback; the time-out for the whole call is then the only one.
    if (socket instanceof Socket && socket.connecting) {
      const late = () => socket.destroy(new Error(`no connection within ${ms} ms`))
      const cancel = clock.after(ms, late)
      socket.once('connect', cancel).once('close', cancel)
    }
    return socket
  }
}

/**
 * The SDK keeps what a provider gave it unless the provider says that it does so itself; the node's secret would
 * then lie in the heap as text for as long as the client lives.
 */
function givenCredentials({ accessKeyId, secretAccessKey }: NodeCredentials) {
  const reveal = async () => ({ accessKeyId, secretAccessKey: secretAccessKey.reveal() })
  return Object.assign(reveal, { memoized: true })
}
