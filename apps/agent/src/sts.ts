import { readFileSync } from 'node:fs'
import { type AgentSettings, isReadOnTheWay, type TokenServicePort } from '@kube2iam-ts/agent-runtime'
import { type Clock, CodedError, isCoded, type Report, type RoleArn } from '@kube2iam-ts/core'
import { adaptGrants, type TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import {
  createAwsTokenService,
  createDefaultNodeCredentials,
  readStsEnvironment,
} from '@kube2iam-ts/credential-broker/aws'
import type { Upstream } from '@kube2iam-ts/metadata-emulator'
import { HOME_REGIONS, partitionOf } from './partition-regions.ts'
import type { Environment } from './wire.ts'

export interface StsOptions {
  readonly settings: AgentSettings
  readonly environment: Environment
  /** `http://169.254.169.254`. */
  readonly origin: string
  readonly clock: Clock
  readonly upstream: Upstream
  readonly report: Report<TokenServiceEvent>
  /** Takes what is unwise about AWS_ENDPOINT_URL_STS. */
  readonly warn?: (why: string) => void
}

/** A region that the metadata service did not tell is asked for again after this time; until then STS is the global one. */
const ASK_AGAIN_MS = 30_000

/**
 * STS by the settings, the variables that every AWS SDK reads, and where neither names a region, the instance's. Throws
 * `CONFIG_INVALID` where a variable names a file that cannot be read.
 */
export function createSts(options: StsOptions): TokenServicePort {
  const { settings, environment, clock, upstream, report } = options
  const around = readStsEnvironment(environment)
  const isGlobal = !(settings.useRegionalStsEndpoint ?? !around.global)
  const named = settings.region ?? around.region
  const endpoint = settings.stsEndpoint ?? around.endpoint
  // The flag has its own warning; a variable comes from somewhere that nobody looks at.
  if (settings.stsEndpoint === undefined && isReadOnTheWay(around.endpoint)) {
    options.warn?.('the credentials of all pods are sent unencrypted; give an https:// URL')
  }
  const ca = around.caFile === undefined ? undefined : readBundle(around.caFile)
  const nodeCredentials = createDefaultNodeCredentials({
    clock,
    environment,
    metadataEndpoint: options.origin,
  })
  const services = new Map<string | undefined, TokenServicePort>()
  let isHomeTold = false
  let discovered: { readonly region: string | undefined; readonly at: number } | undefined

  function serviceOf(region: string | undefined): TokenServicePort {
    const known = services.get(region)
    if (known !== undefined) return known
    const aws = createAwsTokenService({
      clock,
      nodeCredentials,
      region,
      endpoint,
      fips: around.fips,
      dualStack: around.dualStack,
      proxy: around.proxy,
      ca,
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
      // Whatever region is named, the same endpoint would be asked, under a signature that it does not take.
      ...(endpoint !== undefined && { fallbackRegion: () => undefined }),
      ...(settings.assumeRoleArn !== undefined && { chained: true }),
    })
    const service = { ...adapted, close: () => aws.close() }
    services.set(region, service)
    return service
  }

  async function current(signal: AbortSignal, role: RoleArn | undefined): Promise<TokenServicePort> {
    // Whoever is asked for a role of another partition would not know it: the agent's own is the same.
    const told = role?.partition ?? (settings.assumeRoleArn ?? settings.baseRoleArn)?.partition
    if (isGlobal && (told ?? (named === undefined ? 'aws' : partitionOf(named))) === 'aws') {
      return serviceOf(undefined)
    }
    const region = named ?? (await instanceRegion(signal))
    if (region !== undefined || told === undefined || told === 'aws') return serviceOf(region)
    return serviceOf(home(told))
  }

  function home(partition: keyof typeof HOME_REGIONS): string {
    const by = HOME_REGIONS[partition]
    if (!isHomeTold) {
      const message = `${partition} has no global endpoint, and nobody says which region is meant: give --region or AWS_REGION`
      report({ kind: 'region-replaced', region: 'aws-global', by, message })
    }
    isHomeTold = true
    return by
  }

  async function instanceRegion(signal: AbortSignal): Promise<string | undefined> {
    if (
      discovered === undefined ||
      (discovered.region === undefined && clock.monotonic() - discovered.at > ASK_AGAIN_MS)
    ) {
      discovered = { region: await askRegion(upstream, signal), at: clock.monotonic() }
    }
    return discovered.region
  }

  return {
    assumeRole: async (grant, { signal }) =>
      (await current(signal, grant.role)).assumeRole(grant, { signal }),
    warmUp: async (signal) => (await current(signal, undefined)).warmUp(signal),
    close: async () => {
      for (const service of services.values()) await service.close?.()
    },
  }
}

async function askRegion(upstream: Upstream, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { status, body } = await upstream.get('/latest/meta-data/placement/region', { signal })
    const region = body.toString('utf8').trim()
    return status === 200 && /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/.test(region) ? region : undefined
  } catch (error) {
    if (isCoded(error)) return undefined
    throw error
  }
}

function readBundle(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new CodedError(
      'CONFIG_INVALID',
      `AWS_CA_BUNDLE: ${path} cannot be read (${reason}): name a file of PEM certificates, or unset the variable`,
      { cause: error },
    )
  }
}
