import { aborted, type Clock, CodedError, type Grant, isCoded, type Random } from '@kube2iam-ts/core'
import { createCallQueue, type Urgency } from './call-queue.ts'
import { type CircuitBreaker, type CircuitState, createCircuitBreaker } from './circuit-breaker.ts'
import type { BrokerSettings } from './settings.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { IssuedSession, TokenService, TokenServiceErrorCode } from './token-service.ts'

/** Why no session came of a call although nobody refused it. */
export type FailureCode = TokenServiceErrorCode | 'CIRCUIT_OPEN' | 'BUDGET_EXHAUSTED'

export type CallOutcome =
  | {
      readonly kind: 'issued'
      readonly session: IssuedSession
      /** `Clock.monotonic` when STS was asked. */
      readonly askedAt: number
    }
  | { readonly kind: 'denied'; readonly code: 'STS_DENIED' | 'STS_INVALID'; readonly message: string }
  | {
      readonly kind: 'failed'
      readonly code: FailureCode
      readonly message: string
      /** STS is not to be asked again before. */
      readonly atLeastMs: number
      /** For the log, where it is nothing that was expected. */
      readonly cause: unknown
    }
  | { readonly kind: 'aborted' }

/** One call to STS, shared by all who wait and owned by none of them. */
export interface StsCall {
  /** Never rejects. */
  readonly outcome: Promise<CallOutcome>
  readonly reason: Urgency
  /** A pod has begun to wait for it. */
  raise(urgency: Urgency): void
  /** Nobody wants it any more. */
  abort(): void
}

export interface StsCallsOptions {
  tokenService: TokenService
  clock: Clock
  random: Random
  settings: BrokerSettings
  circuitChanged: (endpoint: string, state: CircuitState) => void
}

/** All calls that a node makes to STS: in their turn, within the budget, and not at all while an endpoint is down. */
export interface StsCalls {
  begin(grant: Grant, reason: Urgency, lane: string): StsCall
  /** Whether the endpoint answered when it was asked last. */
  isHealthy(grant: Grant): boolean
  close(): void
}

export function createStsCalls({
  tokenService,
  clock,
  random,
  settings,
  circuitChanged,
}: StsCallsOptions): StsCalls {
  const bucket = createTokenBucket({
    clock,
    ratePerSecond: settings.callsPerSecond,
    burst: settings.callBurst,
  })
  const { concurrency, queueCapacity: capacity } = settings
  const queue = createCallQueue({ clock, bucket, concurrency, capacity })
  const breakers = new Map<string, CircuitBreaker>()

  function breakerOf(grant: Grant): CircuitBreaker {
    const endpoint = grant.region ?? 'default'
    const known = breakers.get(endpoint)
    if (known !== undefined) return known
    const breaker = createCircuitBreaker({
      clock,
      random,
      failures: settings.circuitFailures,
      openMs: settings.circuitOpenMs,
      longestOpenMs: settings.circuitLongestOpenMs,
      changed: (state) => circuitChanged(endpoint, state),
    })
    breakers.set(endpoint, breaker)
    return breaker
  }

  async function ask(grant: Grant, breaker: CircuitBreaker, given: AbortSignal): Promise<CallOutcome> {
    const timeout = new AbortController()
    const cancel = clock.after(settings.callTimeoutMs, () => timeout.abort())
    const askedAt = clock.monotonic()
    const signal = AbortSignal.any([given, timeout.signal])
    const late = whenAborted(signal)
    try {
      // Whatever the service makes of its signal, nobody waits for it longer than this.
      const session = await Promise.race([
        tokenService.assumeRole(grant, { signal }),
        late.promise.then(() => Promise.reject(aborted(signal))),
      ])
      breaker.succeeded()
      bucket.succeeded()
      return { kind: 'issued', session, askedAt }
    } catch (error) {
      if (given.aborted) {
        breaker.released()
        return { kind: 'aborted' }
      }
      return judge(timeout.signal.aborted ? timedOut(settings.callTimeoutMs) : error, breaker)
    } finally {
      cancel()
      late.forget()
    }
  }

  /** What a failed call says about STS, and what becomes of it. */
  function judge(error: unknown, breaker: CircuitBreaker): CallOutcome {
    if (!isCoded<TokenServiceErrorCode>(error)) {
      // A bug somewhere: treated as an outage, so that it is neither hammered nor hidden.
      breaker.failed()
      return failed('STS_BAD_ANSWER', 'the call to STS ended in an error that nobody expected', 0, error)
    }
    const { code, message, detail, cause } = error
    const retryAfterMs = typeof detail['retryAfterMs'] === 'number' ? detail['retryAfterMs'] : 0
    switch (code) {
      case 'STS_DENIED':
      case 'STS_INVALID':
        // STS is there and says no.
        breaker.succeeded()
        return { kind: 'denied', code, message }
      case 'STS_THROTTLED':
        bucket.throttled()
        breaker.failed(retryAfterMs)
        return failed(code, message, retryAfterMs, cause)
      case 'STS_UNAVAILABLE':
      case 'STS_BAD_ANSWER':
      case 'NODE_CREDENTIALS_UNAVAILABLE':
      case 'ABORTED':
        breaker.failed(retryAfterMs)
        return failed(code, message, retryAfterMs, cause)
      default:
        code satisfies never
        return failed('STS_BAD_ANSWER', message, 0, error)
    }
  }

  return {
    begin(grant, reason, lane) {
      const controller = new AbortController()
      const { signal } = controller
      const breaker = breakerOf(grant)
      // Asked before the queue, so that calls which will not be made cost nobody a place or a token.
      const ticket = breaker.waitMs() > 0 ? undefined : queue.enter(reason, lane)
      const run = async (): Promise<CallOutcome> => {
        if (ticket === undefined) {
          if (breaker.waitMs() > 0) return leftAlone(breaker)
          return failed('BUDGET_EXHAUSTED', 'too many calls to STS are waiting for their turn already')
        }
        try {
          await Promise.race([ticket.admitted, whenAborted(signal).promise])
          if (signal.aborted) return { kind: 'aborted' }
          const breaker = breakerOf(grant)
          if (breaker.admit()) return await ask(grant, breaker, signal)
          return failed(
            'CIRCUIT_OPEN',
            'STS has failed too often and is left alone for a moment',
            breaker.waitMs(),
          )
        } finally {
          ticket.done()
        }
      }
      return {
        outcome: run(),
        reason,
        raise: (urgency) => ticket?.raise(urgency),
        abort: () => controller.abort(),
      }
    },
    isHealthy: (grant) => breakerOf(grant).healthy,
    close: () => queue.close(),
  }
}

const failed = (code: FailureCode, message: string, atLeastMs = 0, cause?: unknown): CallOutcome => ({
  kind: 'failed',
  code,
  message,
  atLeastMs,
  cause,
})

const leftAlone = (breaker: CircuitBreaker): CallOutcome =>
  failed('CIRCUIT_OPEN', 'STS has failed too often and is left alone for a moment', breaker.waitMs())

const timedOut = (ms: number) =>
  new CodedError('STS_UNAVAILABLE', `STS did not answer within ${ms} ms`, { retryable: true })

/** `forget` takes the listener away: Node keeps a signal of several signals in memory for as long as it has one. */
function whenAborted(signal: AbortSignal): { readonly promise: Promise<void>; readonly forget: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listener = (): void => resolve()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', listener, { once: true })
  return { promise, forget: () => signal.removeEventListener('abort', listener) }
}
