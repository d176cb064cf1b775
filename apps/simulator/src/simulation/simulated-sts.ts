import type { Clock, Grant, Random } from '@kube2iam-ts/core'
import { aborted, CodedError, Secret } from '@kube2iam-ts/core'
import type { IssuedSession, TokenService } from '@kube2iam-ts/credential-broker'
import { toStsError } from '@kube2iam-ts/credential-broker/testing'
import type { StsJudge } from '../aws/sts-judgement.ts'

export interface StsFault {
  readonly kind: 'throttled' | 'down' | 'slow' | 'hang' | 'rubbish' | 'region-disabled'
  /** The share of calls that have it. */
  readonly rate: number
  /** Instead of a share: whether this call has it. */
  readonly hits?: () => boolean
  readonly latencyMs: number
  /** Only calls to this region's endpoint. */
  readonly region: string | undefined
}

/** One call, as CloudTrail would record it. */
export interface SimulatedCall {
  /** World milliseconds. */
  readonly at: number
  readonly grant: Grant
  readonly outcome: string
  readonly accessKeyId: string | undefined
}

/** Whose credentials an access key is: what `GetCallerIdentity` would say. */
export interface SimulatedSession {
  readonly roleArn: string
  readonly assumedRoleArn: string
  readonly grant: Grant
  readonly expiration: Date
}

/** STS without a socket: its own judgement, its faults, and a memory of whose every session is. */
export interface SimulatedSts {
  /** What one agent uses; `now` is that node's clock. */
  tokenService(clock: Clock): TokenService
  readonly calls: readonly SimulatedCall[]
  /** Whose endpoint is asked where nobody says otherwise. */
  readonly region: string
  session(accessKeyId: string): SimulatedSession | undefined
  addFault(fault: StsFault): () => void
  clearFaults(): void
}

export interface SimulatedStsOptions {
  readonly judge: () => StsJudge
  /** The world's clock: STS's own time. */
  readonly clock: Clock
  /** True time: the world's, whatever a node's clock was set to. */
  readonly trueNow: () => number
  readonly random: Random
  readonly onCall?: (call: SimulatedCall) => void
  /** A refusal that STS itself may not have given: nobody can know here what the trust policy asks. */
  readonly onNotJudged?: (grant: Grant, why: readonly string[]) => void
  /** The region of agents that name none. */
  readonly region: string
}

const LATENCY_MS = 40
const LATENCY_SPREAD_MS = 40

export function createSimulatedSts(options: SimulatedStsOptions): SimulatedSts {
  const { judge, clock, trueNow, random, region, onCall = () => {}, onNotJudged = () => {} } = options
  const calls: SimulatedCall[] = []
  const sessions = new Map<string, SimulatedSession>()
  const faults = new Set<StsFault>()

  const faultOf = (grant: Grant): StsFault | undefined => {
    for (const fault of faults) {
      if (fault.region !== undefined && fault.region !== (grant.region ?? region)) continue
      if (fault.hits?.() ?? (fault.rate >= 1 || random() < fault.rate)) return fault
    }
    return undefined
  }

  const issue = (grant: Grant, arn: string, packedPolicySize: number | undefined): IssuedSession => {
    // STS reports whole seconds.
    const server = Math.floor(trueNow() / 1000) * 1000
    const serial = String(sessions.size + 1).padStart(8, '0')
    const accessKeyId = `ASIASIM${serial}`
    const expiration = new Date(server + grant.durationSeconds * 1000)
    sessions.set(accessKeyId, { roleArn: grant.role.text, assumedRoleArn: arn, grant, expiration })
    return {
      credentials: {
        accessKeyId,
        secretAccessKey: new Secret(`secret-of-${accessKeyId}`),
        sessionToken: new Secret(`token-of-${accessKeyId}`),
        issuedAt: new Date(server),
        expiration,
      },
      assumedRoleArn: arn,
      packedPolicySize,
      serverTime: new Date(server),
    }
  }

  const assume = async (grant: Grant, own: Clock, signal: AbortSignal): Promise<IssuedSession> => {
    const fault = faultOf(grant)
    const answers = fault === undefined ? LATENCY_MS + random() * LATENCY_SPREAD_MS : latencyOf(fault)
    if (fault?.kind === 'hang') await own.sleep(Number.MAX_SAFE_INTEGER, signal)
    else await own.sleep(answers, signal)
    if (signal.aborted) throw aborted(signal)
    if (fault !== undefined && fault.kind !== 'slow') throw sdkErrorOf(fault.kind)
    const judgement = judge().judge(grant)
    if (judgement.kind === 'refused') {
      if (judgement.notJudged.length > 0) onNotJudged(grant, judgement.notJudged)
      throw sdkError(judgement.code, judgement.message, judgement.status)
    }
    return issue(grant, judgement.arn, judgement.packedPolicySize)
  }

  return {
    calls,
    region,
    session: (accessKeyId) => sessions.get(accessKeyId),
    addFault(fault) {
      faults.add(fault)
      return () => void faults.delete(fault)
    },
    clearFaults: () => faults.clear(),
    tokenService: (own) => ({
      warmUp: async () => {},
      async assumeRole(grant, { signal }) {
        const at = clock.now()
        const record = (outcome: string, accessKeyId?: string): void => {
          const call = { at, grant, outcome, accessKeyId }
          calls.push(call)
          onCall(call)
        }
        try {
          const issued = await assume(grant, own, signal)
          record('issued', issued.credentials.accessKeyId)
          return issued
        } catch (error) {
          const coded = toStsError(error, signal)
          record(coded.code)
          throw coded instanceof CodedError ? coded : error
        }
      },
    }),
  }
}

const latencyOf = ({ kind, latencyMs }: StsFault): number => (kind === 'slow' ? latencyMs : LATENCY_MS)

/** The error that the SDK throws. */
function sdkErrorOf(kind: Exclude<StsFault['kind'], 'slow'>): Error {
  switch (kind) {
    case 'throttled':
      return sdkError('Throttling', 'Rate exceeded', 400)
    case 'rubbish':
      return sdkError('SyntaxError', 'the answer is no XML', 200)
    case 'region-disabled':
      return sdkError('RegionDisabledException', 'STS is not activated in this region for the account', 403)
    case 'down':
    case 'hang':
      return new Error('connect ECONNREFUSED')
    default:
      return kind satisfies never
  }
}

function sdkError(name: string, message: string, status: number): Error {
  const error = new Error(message)
  error.name = name
  return Object.assign(error, { $metadata: { httpStatusCode: status, requestId: 'simulated' } })
}
