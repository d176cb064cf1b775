import {
  type Cancel,
  type Clock,
  type CodedError,
  type Grant,
  grantKey,
  isCoded,
  type Random,
  type Report,
} from '@kube2iam-ts/core'
import type { Broker, BrokerAnswer, BrokerRequest, HeldSession, SessionOwner } from './broker-port.ts'
import { type CallTicket, createCallQueue, type Urgency } from './call-queue.ts'
import { type CircuitBreaker, createCircuitBreaker } from './circuit-breaker.ts'
import type { BrokerEvent } from './events.ts'
import { lifeOf, remainingMs, SAFETY_MS, type SessionLife } from './session-life.ts'
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS } from './settings.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { IssuedSession, TokenService, TokenServiceErrorCode } from './token-service.ts'

export interface BrokerOptions {
  tokenService: TokenService
  clock: Clock
  random: Random
  report: Report<BrokerEvent>
  settings?: Partial<BrokerSettings>
}

type FailureCode = TokenServiceErrorCode | 'CIRCUIT_OPEN' | 'BUDGET_EXHAUSTED'

/** What is held under one grant key, and everything that is going on about it. */
interface Entry {
  readonly key: string
  readonly grant: Grant
  /** Pods that have it, by uid; `wanted`: the agent said that it is to be kept ready. */
  readonly owners: Map<string, { readonly owner: SessionOwner; wanted: boolean }>
  session: (IssuedSession & { readonly life: SessionLife }) | undefined
  /** Whether a pod has asked since the session was issued. */
  asked: boolean
  flight: Flight | undefined
  denial:
    | { readonly code: 'STS_DENIED' | 'STS_INVALID'; readonly message: string; readonly until: number }
    | undefined
  denials: number
  failure: { readonly code: FailureCode; readonly message: string; readonly until: number } | undefined
  failures: number
  /** The one thing that happens to it next without anybody asking. */
  timer: Cancel | undefined
}

/** One call to STS, shared by all who wait and owned by none of them. */
interface Flight {
  readonly settled: Promise<void>
  readonly controller: AbortController
  ticket: CallTicket | undefined
  reason: Urgency
}

/** While a session that is still good is being renewed, a request waits no longer than this for the new one. */
const RENEWAL_PATIENCE_MS = 250
/** Prefetches are spread by this much for every one that is already waiting. */
const SPREAD_PER_PREFETCH_MS = 100
const SKEW_WORTH_TELLING_MS = 60_000

export function createBroker({ tokenService, clock, random, report, ...options }: BrokerOptions): Broker {
  const settings: BrokerSettings = { ...DEFAULT_BROKER_SETTINGS, ...options.settings }
  const entries = new Map<string, Entry>()
  const keysOf = new Map<string, Set<string>>()
  // A grant that is asked for again is the same object where the agent keeps its decisions.
  const keys = new WeakMap<Grant, string>()
  const breakers = new Map<string, CircuitBreaker>()
  const bucket = createTokenBucket({
    clock,
    ratePerSecond: settings.callsPerSecond,
    burst: settings.callBurst,
  })
  const queue = createCallQueue({
    clock,
    bucket,
    concurrency: settings.concurrency,
    capacity: settings.queueCapacity,
  })
  let prefetching = 0
  let toldSkewMs = 0
  let closed = false

  function keyOf(grant: Grant): string {
    const known = keys.get(grant)
    if (known !== undefined) return known
    const key = grantKey(grant)
    keys.set(grant, key)
    return key
  }

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
      changed: (state) => report({ kind: 'circuit-changed', endpoint, state }),
    })
    breakers.set(endpoint, breaker)
    return breaker
  }

  function entryFor(grant: Grant): Entry {
    const key = keyOf(grant)
    const known = entries.get(key)
    if (known !== undefined) return known
    if (entries.size >= settings.maxSessions) makeRoom()
    const entry: Entry = {
      key,
      grant,
      owners: new Map(),
      session: undefined,
      asked: false,
      flight: undefined,
      denial: undefined,
      denials: 0,
      failure: undefined,
      failures: 0,
      timer: undefined,
    }
    entries.set(key, entry)
    return entry
  }

  /** Forgets the oldest entry that is kept for no pod. */
  function makeRoom(): void {
    for (const entry of entries.values()) {
      if (isWanted(entry) || entry.flight !== undefined) continue
      drop(entry, 'unused')
      return
    }
  }

  function own(entry: Entry, owner: SessionOwner, wanted: boolean): void {
    const known = entry.owners.get(owner.uid)
    if (known !== undefined) {
      known.wanted ||= wanted
      return
    }
    entry.owners.set(owner.uid, { owner, wanted })
    const held = keysOf.get(owner.uid)
    if (held === undefined) keysOf.set(owner.uid, new Set([entry.key]))
    else held.add(entry.key)
  }

  function disown(entry: Entry, uid: string, reason: 'released' | 'replaced'): void {
    entry.owners.delete(uid)
    const held = keysOf.get(uid)
    held?.delete(entry.key)
    if (held?.size === 0) keysOf.delete(uid)
    if (entry.owners.size === 0) drop(entry, reason)
  }

  function drop(entry: Entry, reason: 'released' | 'replaced' | 'unused' | 'expired' | 'closed'): void {
    entry.timer?.()
    entry.timer = undefined
    entries.delete(entry.key)
    entry.flight?.controller.abort()
    const { session } = entry
    if (session !== undefined) {
      const { accessKeyId, expiration } = session.credentials
      report({ kind: 'session-dropped', ...factsOf(entry), reason, accessKeyId, expiration })
    }
    entry.session = undefined
    for (const uid of entry.owners.keys()) {
      const held = keysOf.get(uid)
      held?.delete(entry.key)
      if (held?.size === 0) keysOf.delete(uid)
    }
    entry.owners.clear()
  }

  /** Sets what happens to an entry next. There is always at most one timer, and none after the entry is dropped. */
  function schedule(entry: Entry): void {
    entry.timer?.()
    entry.timer = undefined
    if (closed || entries.get(entry.key) !== entry || entry.flight !== undefined) return
    const at = nextFor(entry)
    if (at === undefined) return
    entry.timer = clock.after(at.when - clock.monotonic(), () => {
      entry.timer = undefined
      at.act()
    })
  }

  function nextFor(entry: Entry): { when: number; act: () => void } | undefined {
    const { session, failure, denial } = entry
    const waitUntil = Math.max(failure?.until ?? 0, denial?.until ?? 0)
    if (session === undefined) {
      // A denial is not asked about again until a pod asks; a failure is, for a pod that is waiting to.
      if (isWanted(entry)) {
        return failure === undefined
          ? undefined
          : { when: failure.until, act: () => start(entry, 'prefetch') }
      }
      return { when: waitUntil + settings.denialTtlMs, act: () => drop(entry, 'unused') }
    }
    const end = session.life.endsAt - SAFETY_MS
    const renewAt = Math.max(session.life.renewAt, waitUntil)
    if (renewAt >= end) return { when: end, act: () => expire(entry) }
    return {
      when: renewAt,
      act() {
        if (isWanted(entry) || entry.asked) start(entry, 'renewal')
        else drop(entry, 'unused')
      },
    }
  }

  function expire(entry: Entry): void {
    if (!isWanted(entry)) return drop(entry, 'expired')
    const { session } = entry
    if (session === undefined) return
    const { accessKeyId, expiration } = session.credentials
    entry.session = undefined
    report({ kind: 'session-dropped', ...factsOf(entry), reason: 'expired', accessKeyId, expiration })
    schedule(entry)
  }

  /** Begins the one call that this entry may have under way. */
  function start(entry: Entry, reason: Urgency): Flight | undefined {
    if (closed) return undefined
    if (entry.flight !== undefined) {
      entry.flight.ticket?.raise(reason)
      return entry.flight
    }
    entry.timer?.()
    entry.timer = undefined
    const controller = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    const flight: Flight = { settled: promise, controller, ticket: undefined, reason }
    entry.flight = flight
    void fly(entry, flight).then(() => {
      entry.flight = undefined
      schedule(entry)
      resolve()
    })
    return flight
  }

  async function fly(entry: Entry, flight: Flight): Promise<void> {
    const { signal } = flight.controller
    const ticket = queue.enter(flight.reason)
    if (ticket === undefined)
      return failed(entry, flight, 'BUDGET_EXHAUSTED', 'too many STS calls are waiting already')
    flight.ticket = ticket
    try {
      await Promise.race([ticket.admitted, aborting(signal)])
      if (signal.aborted) return
      const breaker = breakerOf(entry.grant)
      if (!breaker.admit()) {
        const wait = breaker.waitMs()
        return failed(
          entry,
          flight,
          'CIRCUIT_OPEN',
          'STS has failed too often just now; it is not asked until its circuit closes',
          wait,
        )
      }
      await call(entry, flight, breaker)
    } finally {
      ticket.done()
    }
  }

  async function call(entry: Entry, flight: Flight, breaker: CircuitBreaker): Promise<void> {
    const { signal } = flight.controller
    const timeout = new AbortController()
    const cancel = clock.after(settings.callTimeoutMs, () => timeout.abort())
    const askedAt = clock.monotonic()
    try {
      const issued = await tokenService.assumeRole(entry.grant, {
        signal: AbortSignal.any([signal, timeout.signal]),
      })
      breaker.succeeded()
      bucket.succeeded()
      if (!signal.aborted) took(entry, flight, issued, askedAt)
    } catch (error) {
      if (signal.aborted) return breaker.released()
      if (timeout.signal.aborted) {
        breaker.failed()
        return failed(
          entry,
          flight,
          'STS_UNAVAILABLE',
          `STS did not answer within ${settings.callTimeoutMs} ms`,
        )
      }
      if (!isCoded<TokenServiceErrorCode>(error)) {
        breaker.released()
        throw error
      }
      refused(entry, flight, error, breaker)
    } finally {
      cancel()
    }
  }

  function refused(
    entry: Entry,
    flight: Flight,
    error: CodedError<TokenServiceErrorCode>,
    breaker: CircuitBreaker,
  ): void {
    const retryAfterMs = typeof error.detail['retryAfterMs'] === 'number' ? error.detail['retryAfterMs'] : 0
    switch (error.code) {
      case 'STS_DENIED':
      case 'STS_INVALID':
        // STS is there and says no.
        breaker.succeeded()
        return denied(entry, flight, error.code, error.message)
      case 'STS_THROTTLED':
        bucket.throttled()
        breaker.failed(retryAfterMs)
        return failed(entry, flight, error.code, error.message, retryAfterMs)
      case 'STS_UNAVAILABLE':
      case 'STS_BAD_ANSWER':
      case 'NODE_CREDENTIALS_UNAVAILABLE':
      case 'ABORTED':
        breaker.failed(retryAfterMs)
        return failed(entry, flight, error.code, error.message, retryAfterMs)
      default:
        error.code satisfies never
    }
  }

  function took(entry: Entry, flight: Flight, issued: IssuedSession, askedAt: number): void {
    const { skewMs, ...life } = lifeOf(issued, askedAt, clock, random, settings.minimumLifeMs)
    const renewal = entry.session !== undefined
    entry.session = { ...issued, life }
    entry.asked = false
    entry.failure = undefined
    entry.failures = 0
    entry.denial = undefined
    entry.denials = 0
    const { accessKeyId, expiration } = issued.credentials
    report({
      kind: 'session-issued',
      ...factsOf(entry),
      renewal,
      reason: flight.reason,
      accessKeyId,
      assumedRoleArn: issued.assumedRoleArn,
      expiration,
      durationMs: clock.monotonic() - askedAt,
      packedPolicySize: issued.packedPolicySize,
    })
    if (Math.abs(skewMs - toldSkewMs) >= SKEW_WORTH_TELLING_MS) {
      toldSkewMs = skewMs
      report({ kind: 'clock-skewed', skewMs })
    }
  }

  function denied(entry: Entry, flight: Flight, code: 'STS_DENIED' | 'STS_INVALID', message: string): void {
    const ttl = Math.min(settings.longestDenialTtlMs, settings.denialTtlMs * 2 ** Math.min(entry.denials, 20))
    entry.denials += 1
    entry.failure = undefined
    entry.denial = { code, message, until: clock.monotonic() + ttl }
    const renewal = entry.session !== undefined
    report({
      kind: 'session-denied',
      ...factsOf(entry),
      renewal,
      reason: flight.reason,
      code,
      message,
      retryInMs: ttl,
    })
  }

  function failed(entry: Entry, flight: Flight, code: FailureCode, message: string, atLeastMs = 0): void {
    const bound = Math.min(settings.retryMaxMs, settings.retryBaseMs * 2 ** Math.min(entry.failures, 20))
    const left =
      entry.session === undefined ? Number.POSITIVE_INFINITY : remainingMs(entry.session.life, clock)
    // The nearer the end of what is held, the shorter the waits.
    const wait = atLeastMs + random() * Math.max(settings.retryBaseMs, Math.min(bound, left / 10))
    // Not having been let through says nothing new about STS.
    if (code !== 'CIRCUIT_OPEN' && code !== 'BUDGET_EXHAUSTED') entry.failures += 1
    entry.failure = { code, message, until: clock.monotonic() + wait }
    const renewal = entry.session !== undefined
    report({
      kind: 'session-failed',
      ...factsOf(entry),
      renewal,
      reason: flight.reason,
      code,
      message,
      retryInMs: wait,
    })
  }

  const isHeld = (entry: Entry): boolean =>
    entry.session !== undefined && remainingMs(entry.session.life, clock) > SAFETY_MS

  const answerOf = ({ credentials, assumedRoleArn }: IssuedSession): BrokerAnswer => ({
    kind: 'credentials',
    credentials,
    assumedRoleArn,
  })

  /** What can be said of an entry without waiting; `undefined` where only STS can tell. */
  function answerNow(entry: Entry): BrokerAnswer | undefined {
    if (entry.session !== undefined && isHeld(entry)) return answerOf(entry.session)
    const now = clock.monotonic()
    if (entry.denial !== undefined && entry.denial.until > now) {
      const { code, message } = entry.denial
      return { kind: 'denied', code, message }
    }
    if (entry.failure !== undefined && entry.failure.until > now) {
      const { code, message } = entry.failure
      return { kind: 'unavailable', code, message }
    }
    return undefined
  }

  async function credentials(grant: Grant, request: BrokerRequest): Promise<BrokerAnswer> {
    if (closed) return { kind: 'unavailable', code: 'ABORTED', message: 'the agent is stopping' }
    const entry = entryFor(grant)
    own(entry, request.owner, false)
    entry.asked = true
    const { session } = entry
    if (session !== undefined && isHeld(entry)) {
      const now = clock.monotonic()
      // Enough life: the usual case.
      if (remainingMs(session.life, clock) > session.life.floorMs) return answerOf(session)
      // A timer that is late (a machine that was suspended) must not make a pod's document old.
      const quiet = Math.max(entry.failure?.until ?? 0, entry.denial?.until ?? 0) <= now
      const flight = entry.flight ?? (quiet ? start(entry, 'request') : undefined)
      if (flight !== undefined && entry.failures === 0 && entry.denials === 0) {
        await waitFor(flight, { ...request, deadline: Math.min(request.deadline, now + RENEWAL_PATIENCE_MS) })
      }
      return answerNow(entry) ?? answerOf(session)
    }
    const known = entry.flight === undefined ? answerNow(entry) : undefined
    if (known !== undefined) return known
    const flight = start(entry, 'request')
    const outcome = flight === undefined ? 'settled' : await waitFor(flight, request)
    switch (outcome) {
      case 'settled':
        return (
          answerNow(entry) ?? {
            kind: 'unavailable',
            code: 'ABORTED',
            message: 'the pod was released meanwhile',
          }
        )
      case 'deadline':
        return {
          kind: 'unavailable',
          code: 'DEADLINE',
          message: 'STS had not answered when the caller could wait no longer',
        }
      case 'aborted':
        return { kind: 'unavailable', code: 'ABORTED', message: 'the caller hung up' }
      default:
        return outcome satisfies never
    }
  }

  /** One caller's wait for a call that goes on without it. */
  function waitFor(
    flight: Flight,
    { signal, deadline }: BrokerRequest,
  ): Promise<'settled' | 'deadline' | 'aborted'> {
    if (signal.aborted) return Promise.resolve('aborted')
    const left = deadline - clock.monotonic()
    if (left <= 0) return Promise.resolve('deadline')
    return new Promise((resolve) => {
      const finish = (outcome: 'settled' | 'deadline' | 'aborted') => {
        cancel()
        signal.removeEventListener('abort', onAbort)
        resolve(outcome)
      }
      const onAbort = () => finish('aborted')
      const cancel = clock.after(left, () => finish('deadline'))
      signal.addEventListener('abort', onAbort, { once: true })
      void flight.settled.then(() => finish('settled'))
    })
  }

  function want(owner: SessionOwner, grant: Grant): void {
    if (closed) return
    const entry = entryFor(grant)
    own(entry, owner, true)
    for (const key of keysOf.get(owner.uid) ?? []) {
      const other = entries.get(key)
      if (other !== undefined && other !== entry) disown(other, owner.uid, 'replaced')
    }
    const idle = entry.session === undefined && entry.flight === undefined && entry.timer === undefined
    if (!idle || answerNow(entry) !== undefined) return
    // The first ones go at once; those that come in a crowd are spread.
    const spread = Math.min(settings.prefetchSpreadMs, prefetching * SPREAD_PER_PREFETCH_MS)
    prefetching += 1
    const settle = () => {
      prefetching -= 1
    }
    const cancel = clock.after(random() * spread, () => {
      settle()
      entry.timer = undefined
      start(entry, 'prefetch')
    })
    entry.timer = () => {
      settle()
      cancel()
    }
  }

  return {
    credentials,
    want,

    release(uid) {
      for (const key of Array.from(keysOf.get(uid) ?? [])) {
        const entry = entries.get(key)
        if (entry !== undefined) disown(entry, uid, 'released')
      }
    },

    warmUp: (signal) => tokenService.warmUp(signal),

    sessions(): readonly HeldSession[] {
      return [...entries.values()].flatMap(({ key, grant, session, owners }) =>
        session === undefined
          ? []
          : [
              {
                key,
                role: grant.role.text,
                sessionName: grant.sessionName,
                accessKeyId: session.credentials.accessKeyId,
                issuedAt: session.credentials.issuedAt,
                expiration: session.credentials.expiration,
                owners: [...owners.keys()],
              },
            ],
      )
    },

    async close() {
      closed = true
      queue.close()
      const flights = [...entries.values()].flatMap(({ flight }) =>
        flight === undefined ? [] : [flight.settled],
      )
      for (const entry of entries.values()) drop(entry, 'closed')
      await Promise.all(flights)
    },
  }
}

const isWanted = (entry: Entry): boolean => {
  for (const { wanted } of entry.owners.values()) if (wanted) return true
  return false
}

const factsOf = ({ owners, grant }: Entry) => ({
  owners: [...owners.values()].map(({ owner }) => owner),
  role: grant.role.text,
  sessionName: grant.sessionName,
})

const aborting = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
