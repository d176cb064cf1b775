import { type Clock, type Grant, grantKey, type Report } from '@kube2iam-ts/core'
import { reasonOf, type StsReason } from './sts-errors.ts'
import type { IssuedSession, TokenService } from './token-service.ts'
import type { TokenServiceEvent } from './token-service-events.ts'

export interface AdaptGrantsOptions {
  clock: Clock
  report: Report<TokenServiceEvent>
  /**
   * Whether the agent's own credentials are a role's, so that no session lasts longer than an hour. Learnt from STS
   * where it is not known.
   */
  chained?: boolean
  /** The region that is asked where a grant names none. */
  region?: string | undefined
  /** Who is asked where STS is switched off in a region; `undefined`: nobody. */
  fallbackRegion?: (region: string) => string | undefined
}

const CHAINED_SECONDS = 3_600
/** IAM allows no role a smaller maximum than this. */
const SMALLEST_MAXIMUM_SECONDS = 3_600
/** Trust policies and account settings are changed by people; what was learnt is forgotten after a while. */
const TAGS_LEFT_OUT_MS = 15 * 60_000
const REGION_OFF_MS = 60 * 60_000
const MAXIMUM_KNOWN_MS = 24 * 60 * 60_000
const REMEMBERED = 2_000
const MOST_CHANGES = 6

/**
 * Asks for less where STS does not give what a grant wishes for: an hour where roles are chained, the role's own
 * maximum, no tags where the trust policy lacks sts:TagSession, another region where one is switched off. Every
 * change is reported; the grant itself, and so the key that the session is held under, stays as it is.
 */
export function adaptGrants(service: TokenService, options: AdaptGrantsOptions): TokenService {
  const { clock, report, region: ownRegion, fallbackRegion = fallbackRegionOf } = options
  let chained = options.chained ?? false
  const untagged = createMemory<true>(clock, TAGS_LEFT_OUT_MS)
  const regionsOff = createMemory<true>(clock, REGION_OFF_MS)
  /** By role: what STS is known to give, and the least that it is known to refuse. */
  const maxima = createMemory<{ readonly given: number; readonly refused: number }>(clock, MAXIMUM_KNOWN_MS)
  const toldClamps = new Set<string>()

  function adapt(grant: Grant, probe: boolean): Grant {
    const region = grant.region ?? ownRegion
    const other = region !== undefined && regionsOff.get(region) ? fallbackRegion(region) : undefined
    return {
      ...grant,
      ...(untagged.get(grantKey(grant)) ? { tags: {}, transitiveTagKeys: [] } : {}),
      ...(other === undefined ? {} : { region: other }),
      durationSeconds: Math.min(
        grant.durationSeconds,
        chained ? CHAINED_SECONDS : Number.POSITIVE_INFINITY,
        durationFor(grant, probe),
      ),
    }
  }

  /** Between what is given and what is refused: the middle in whole hours if that is still to be found out. */
  function durationFor({ role, durationSeconds }: Grant, probe: boolean): number {
    const known = maxima.get(role.text)
    if (known === undefined || durationSeconds <= known.given) return durationSeconds
    const hours = Math.floor((Math.min(known.refused, durationSeconds + 1) - known.given) / 3_600 / 2)
    return probe && hours > 0 ? known.given + hours * 3_600 : known.given
  }

  /** Learns from a refusal; `false`: it teaches nothing that could be asked for instead. */
  function learn(reason: StsReason | undefined, grant: Grant, asked: Grant, message: string): boolean {
    const role = grant.role.text
    switch (reason) {
      case 'tag-session':
        if (Object.keys(asked.tags).length === 0) return false
        untagged.set(grantKey(grant), true)
        report({ kind: 'tags-left-out', role, sessionName: grant.sessionName, message })
        return true
      case 'duration-chained':
        if (chained || asked.durationSeconds <= CHAINED_SECONDS) return false
        chained = true
        return true
      case 'duration-role': {
        if (asked.durationSeconds <= SMALLEST_MAXIMUM_SECONDS) return false
        const given = maxima.get(role)?.given ?? SMALLEST_MAXIMUM_SECONDS
        maxima.set(role, {
          given: Math.min(given, asked.durationSeconds - 1),
          refused: asked.durationSeconds,
        })
        return true
      }
      case 'region-disabled': {
        const region = asked.region ?? ownRegion
        const by = region === undefined ? undefined : fallbackRegion(region)
        if (region === undefined || by === undefined || by === region) return false
        regionsOff.set(region, true)
        report({ kind: 'region-replaced', region, by, message })
        return true
      }
      case 'packed-policy':
      case 'clock-skew':
      case 'node-credentials-expired':
      case 'node-credentials-refused':
      case 'connection-lost':
      case undefined:
        return false
      default:
        return reason satisfies never
    }
  }

  function learnGiven({ role }: Grant, { durationSeconds }: Grant): void {
    const known = maxima.get(role.text)
    if (known !== undefined && durationSeconds > known.given) {
      maxima.set(role.text, { given: durationSeconds, refused: known.refused })
    }
  }

  function tellClamp(
    { role, durationSeconds: askedSeconds }: Grant,
    { durationSeconds: givenSeconds }: Grant,
  ): void {
    if (givenSeconds >= askedSeconds) return
    const because = chained && givenSeconds === CHAINED_SECONDS ? 'role-chaining' : 'role-maximum'
    const news = `${role.text} ${askedSeconds} ${givenSeconds}`
    if (toldClamps.has(news)) return
    if (toldClamps.size >= REMEMBERED) toldClamps.clear()
    toldClamps.add(news)
    report({ kind: 'duration-clamped', role: role.text, askedSeconds, givenSeconds, because })
  }

  async function assumeRole(
    grant: Grant,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<IssuedSession> {
    for (let changes = 0; ; changes += 1) {
      // Only the first try reaches for more than is known to be given.
      const asked = adapt(grant, changes === 0)
      try {
        const session = await service.assumeRole(asked, { signal })
        learnGiven(grant, asked)
        tellClamp(grant, asked)
        return session
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        if (changes >= MOST_CHANGES || !learn(reasonOf(error), grant, asked, message)) throw error
      }
    }
  }

  return { assumeRole, warmUp: (signal) => service.warmUp(signal) }
}

/**
 * `us-east-1` for the commercial partition: STS cannot be switched off there, and the tokens of a regional endpoint
 * are valid in every region. Other partitions have no region that can be switched off.
 */
export function fallbackRegionOf(region: string): string | undefined {
  const isCommercial = /^(us|eu|ap|sa|ca|me|af|il|mx)-(?!gov-|iso|isob-)[a-z]+-\d$/.test(region)
  return isCommercial && region !== 'us-east-1' ? 'us-east-1' : undefined
}

/** A bounded map whose entries are forgotten after a while. */
function createMemory<Value>(clock: Clock, ttlMs: number) {
  const entries = new Map<string, { readonly value: Value; readonly until: number }>()
  return {
    get(key: string): Value | undefined {
      const entry = entries.get(key)
      return entry !== undefined && entry.until > clock.monotonic() ? entry.value : undefined
    },
    set(key: string, value: Value): void {
      entries.delete(key)
      const [oldest] = entries.keys()
      if (entries.size >= REMEMBERED && oldest !== undefined) entries.delete(oldest)
      entries.set(key, { value, until: clock.monotonic() + ttlMs })
    },
  }
}
