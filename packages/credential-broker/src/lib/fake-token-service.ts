import {
  assumedRoleArn,
  type Clock,
  CodedError,
  type Grant,
  type Random,
  Secret,
  systemClock,
} from '@kube2iam-ts/core'
import type { IssuedSession, TokenService, TokenServiceErrorCode } from './token-service.ts'

/** How the fake behaves towards a call: an answer, a refusal, or silence. */
export type FakeBehaviour =
  | { readonly kind: 'issue' }
  | {
      readonly kind: 'fail'
      readonly code: Exclude<TokenServiceErrorCode, 'ABORTED'>
      readonly message?: string
      readonly detail?: Readonly<Record<string, unknown>>
    }
  /** Answers only to the abort of its signal. */
  | { readonly kind: 'hang' }

export interface FakeTokenServiceCall {
  readonly grant: Grant
  /** `Clock.now` when it began. */
  readonly at: number
  readonly outcome: 'pending' | 'issued' | TokenServiceErrorCode
}

/** STS without a socket, for unit tests and the simulator. */
export interface FakeTokenService extends TokenService {
  /** Asked for every call as it begins; the default issues. */
  behave: (grant: Grant, call: number) => FakeBehaviour
  /** Every answer comes this much later. */
  latencyMs: number
  /** How far the service's clock is ahead of the clock that was injected. */
  skewMs: number
  readonly calls: readonly FakeTokenServiceCall[]
}

export interface FakeTokenServiceOptions {
  clock?: Clock
  random?: Random
}

const RETRYABLE: ReadonlySet<string> = new Set([
  'STS_THROTTLED',
  'STS_UNAVAILABLE',
  'STS_BAD_ANSWER',
  'NODE_CREDENTIALS_UNAVAILABLE',
])

export function createFakeTokenService({
  clock = systemClock,
  random = Math.random,
}: FakeTokenServiceOptions = {}): FakeTokenService {
  const calls: { -readonly [Field in keyof FakeTokenServiceCall]: FakeTokenServiceCall[Field] }[] = []

  function issue(grant: Grant, number: number): IssuedSession {
    // The server's clock, in whole seconds like every instant that STS reports.
    const server = Math.floor((clock.now() + service.skewMs) / 1000) * 1000
    const serial = String(number).padStart(6, '0')
    return {
      credentials: {
        accessKeyId: `ASIAFAKE${serial}${Math.floor(random() * 100)}`,
        secretAccessKey: new Secret(`secret-${serial}-of-${grant.role.name}`),
        sessionToken: new Secret(`token-${serial}-of-${grant.role.name}`),
        issuedAt: new Date(clock.now()),
        expiration: new Date(server + grant.durationSeconds * 1000),
      },
      assumedRoleArn: assumedRoleArn(grant.role, grant.sessionName),
      packedPolicySize: undefined,
      serverTime: new Date(server),
    }
  }

  const service: FakeTokenService = {
    behave: () => ({ kind: 'issue' }),
    latencyMs: 0,
    skewMs: 0,
    calls,
    warmUp: async () => {},
    async assumeRole(grant, { signal }) {
      const call: (typeof calls)[number] = { grant, at: clock.now(), outcome: 'pending' }
      calls.push(call)
      const number = calls.length
      const behaviour = service.behave(grant, number)
      try {
        if (behaviour.kind === 'hang') await clock.sleep(Number.MAX_SAFE_INTEGER, signal)
        else if (service.latencyMs > 0) await clock.sleep(service.latencyMs, signal)
        signal.throwIfAborted()
      } catch {
        call.outcome = 'ABORTED'
        throw new CodedError('ABORTED', 'the operation was aborted')
      }
      if (behaviour.kind === 'fail') {
        call.outcome = behaviour.code
        throw new CodedError(behaviour.code, behaviour.message ?? `the fake answers ${behaviour.code}`, {
          retryable: RETRYABLE.has(behaviour.code),
          detail: behaviour.detail ?? {},
        })
      }
      call.outcome = 'issued'
      return issue(grant, number)
    },
  }
  return service
}
