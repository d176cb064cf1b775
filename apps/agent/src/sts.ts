import { readFileSync } from 'node:fs'
import type { AgentSettings, TokenServicePort } from '@kube2iam-ts/agent-runtime'
import { type Clock, isCoded, type Report } from '@kube2iam-ts/core'
import { adaptGrants, type TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import {
  createAwsTokenService,
  createDefaultNodeCredentials,
  readStsEnvironment,
} from '@kube2iam-ts/credential-broker/aws'
import type { Upstream } from '@kube2iam-ts/metadata-emulator'
import type { Environment } from './wire.ts'

export interface StsOptions {
  readonly settings: AgentSettings
  readonly environment: Environment
  /** `http://169.254.169.254`. */
  readonly origin: string
  readonly clock: Clock
  readonly upstream: Upstream
  readonly report: Report<TokenServiceEvent>
}

/** A region that the metadata service did not tell is asked for again after this time; until then STS is the global one. */
const ASK_AGAIN_MS = 30_000

/** STS by the settings, the variables that every AWS SDK reads, and where neither names a region, the instance's. */
export function createSts(options: StsOptions): TokenServicePort {
  const { settings, environment, clock, upstream, report } = options
  const around = readStsEnvironment(environment)
  const isGlobal = !(settings.useRegionalStsEndpoint ?? !around.global)
  const named = settings.region ?? around.region
  const nodeCredentials = createDefaultNodeCredentials({
    clock,
    environment,
    metadataEndpoint: options.origin,
  })
  const services = new Map<string | undefined, TokenServicePort>()
  let discovered: { readonly region: string | undefined; readonly at: number } | undefined

  function serviceOf(region: string | undefined): TokenServicePort {
    const known = services.get(region)
    if (known !== undefined) return known
    const aws = createAwsTokenService({
      clock,
      nodeCredentials,
      region,
      endpoint: settings.stsEndpoint ?? around.endpoint,
      fips: around.fips,
      dualStack: around.dualStack,
      proxy: around.proxy,
      ca: around.caFile === undefined ? undefined : readFileSync(around.caFile, 'utf8'),
      maxConnections: settings.stsMaxConcurrency,
      intermediateRole: settings.assumeRoleArn && {
        role: settings.assumeRoleArn,
        sessionName: `kube2iam-${settings.node ?? 'agent'}`.replaceAll(/[^\w+=,.@-]/g, '-').slice(0, 64),
      },
      report,
    })
    const adapted = adaptGrants(aws, {
      clock,
      report,
      region,
      ...(settings.assumeRoleArn !== undefined && { chained: true }),
    })
    const service = { ...adapted, close: () => aws.close() }
    services.set(region, service)
    return service
  }

  async function current(signal: AbortSignal): Promise<TokenServicePort> {
    if (isGlobal || named !== undefined) return serviceOf(isGlobal ? undefined : named)
    if (
      discovered === undefined ||
      (discovered.region === undefined && clock.monotonic() - discovered.at > ASK_AGAIN_MS)
    ) {
      discovered = { region: await instanceRegion(upstream, signal), at: clock.monotonic() }
    }
    return serviceOf(discovered.region)
  }

  return {
    assumeRole: async (grant, { signal }) => (await current(signal)).assumeRole(grant, { signal }),
    warmUp: async (signal) => (await current(signal)).warmUp(signal),
    close: async () => {
      for (const service of services.values()) await service.close?.()
    },
  }
}

async function instanceRegion(upstream: Upstream, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { status, body } = await upstream.get('/latest/meta-data/placement/region', { signal })
    const region = body.toString('utf8').trim()
    return status === 200 && /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/.test(region) ? region : undefined
  } catch (error) {
    if (isCoded(error)) return undefined
    throw error
  }
}
