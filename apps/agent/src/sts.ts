import { readFileSync } from 'node:fs'
import type { AgentSettings, TokenServicePort } from '@kube2iam-ts/agent-runtime'
import type { Clock } from '@kube2iam-ts/core'
import { createAwsTokenService, createDefaultNodeCredentials } from '@kube2iam-ts/credential-broker/aws'
import type { Environment } from './wire.ts'

export interface StsOptions {
  readonly settings: AgentSettings
  readonly environment: Environment
  /** `http://169.254.169.254`. */
  readonly origin: string
  readonly clock: Clock
}

const isTrue = (value: string | undefined): boolean => value?.toLowerCase() === 'true'

/** STS with the settings and the variables that every AWS SDK reads. */
export function createSts({ settings, environment, origin, clock }: StsOptions): TokenServicePort {
  const region = settings.region ?? environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION']
  const ca = environment['AWS_CA_BUNDLE']
  return createAwsTokenService({
    clock,
    nodeCredentials: createDefaultNodeCredentials({ clock, environment, metadataEndpoint: origin }),
    region: settings.useRegionalStsEndpoint === false ? undefined : region,
    endpoint: settings.stsEndpoint ?? environment['AWS_ENDPOINT_URL_STS'] ?? environment['AWS_ENDPOINT_URL'],
    fips: isTrue(environment['AWS_USE_FIPS_ENDPOINT']),
    dualStack: isTrue(environment['AWS_USE_DUALSTACK_ENDPOINT']),
    proxy: {
      http: environment['HTTP_PROXY'] ?? environment['http_proxy'],
      https: environment['HTTPS_PROXY'] ?? environment['https_proxy'],
      none: environment['NO_PROXY'] ?? environment['no_proxy'],
    },
    ca: ca === undefined || ca === '' ? undefined : readFileSync(ca, 'utf8'),
    maxConnections: settings.stsMaxConcurrency,
  })
}
