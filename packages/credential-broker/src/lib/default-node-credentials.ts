import { type Clock, CodedError, Secret } from '@kube2iam-ts/core'
import { createInstanceCredentials } from './instance-credentials.ts'
import { keepCredentials } from './kept-credentials.ts'
import { type NodeCredentialsProvider, staticNodeCredentials } from './node-credentials.ts'
import { withoutAnswer } from './sts-errors.ts'

export interface DefaultNodeCredentialsOptions {
  clock: Clock
  /** The process's environment. */
  environment: Readonly<Record<string, string | undefined>>
  /** Where the instance's metadata service is. */
  metadataEndpoint: string
  /** For each request to the metadata service. */
  metadataTimeoutMs?: number
}

/** Any of these says that credentials come from a place that only the SDK's own chain knows to read. */
const SDK_VARIABLES = [
  'AWS_PROFILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_CONFIG_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
]

/**
 * The agent's own credentials in the order of the SDKs' default chain: keys in the environment; profiles, web
 * identity and container credentials where a variable points to them; else the instance's role, as on nearly every
 * node, for which the SDK's chain need not be loaded.
 */
export function createDefaultNodeCredentials(
  options: DefaultNodeCredentialsOptions,
): NodeCredentialsProvider {
  const { clock, environment, metadataEndpoint, metadataTimeoutMs } = options
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_SESSION_TOKEN: token,
  } = environment
  if (accessKeyId && secret && !environment['AWS_PROFILE']) {
    return staticNodeCredentials({
      accessKeyId,
      secretAccessKey: new Secret(secret),
      sessionToken: token ? new Secret(token) : undefined,
      expiration: undefined,
    })
  }
  const named = SDK_VARIABLES.some((name) => environment[name])
  const source = named
    ? sdkChain()
    : createInstanceCredentials({
        clock,
        endpoint: metadataEndpoint,
        ...(metadataTimeoutMs === undefined ? {} : { timeoutMs: metadataTimeoutMs }),
      })
  return keepCredentials(source, clock)
}

/** The default chain of the AWS SDK. It reads the process's environment and files itself. */
function sdkChain(): NodeCredentialsProvider {
  return {
    async get() {
      try {
        const { STSClient } = await import('./sts-client.ts')
        // A client per question: what the chain keeps is kept as text, so it is not kept at all.
        const client = new STSClient({})
        const found = await client.config.credentials()
        client.destroy()
        return {
          accessKeyId: found.accessKeyId,
          secretAccessKey: new Secret(found.secretAccessKey),
          sessionToken: found.sessionToken === undefined ? undefined : new Secret(found.sessionToken),
          expiration: found.expiration,
        }
      } catch (error) {
        // A web identity token is in the request that the SDK hangs on its error.
        const cause = withoutAnswer(error)
        throw new CodedError(
          'NODE_CREDENTIALS_UNAVAILABLE',
          `the AWS SDK's default chain found no credentials for the agent: ${cause.message}`,
          { retryable: true, cause },
        )
      }
    },
  }
}
