import type { Clock, Random, Report } from '@kube2iam-ts/core'
import type { Broker, BrokerAnswer, BrokerRequest, HeldSession } from './broker-port.ts'
import { waitUntil } from './caller-wait.ts'
import type { BrokerEvent } from './events.ts'
import { createHoldings, type Entry, factsOf, type Hold, isWanted, type LiveSession } from './holdings.ts'
import { createSessionKeeper } from './session-keeper.ts'
import { remainingMs, SAFETY_MS } from './session-life.ts'
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS } from './settings.ts'
import { createStsCalls } from './sts-calls.ts'
import type { TokenService } from './token-service.ts'

export interface BrokerOptions {
  tokenService: TokenService
  clock: Clock
  random: Random
  report: Report<BrokerEvent>
  settings?: Partial<BrokerSettings>
}

/**
 * While a session is being renewed that is old and still good enough for every SDK, a request waits no longer than this
 * for the new one.
 */
const RENEWAL_PATIENCE_MS = 250

/** Sessions for grants: held under the whole grant, fetched once for all who wait, renewed early, never another's. */
export function createBroker({ tokenService, clock, random, report, ...options }: BrokerOptions): Broker {
  const settings: BrokerSettings = { ...DEFAULT_BROKER_SETTINGS, ...options.settings }
  const holdings = createHoldings()
  const calls = createStsCalls({
    tokenService,
    clock,
    random,
    settings,
    circuitChanged: (endpoint, state) => report({ kind: 'circuit-changed', endpoint, state }),
  })
  const keeper = createSessionKeeper({ holdings, calls, clock, random, settings, report })
  let closed = false

  function given(entry: Entry, hold: Hold, session: LiveSession): BrokerAnswer {
    keeper.used(entry, session)
    const { credentials, assumedRoleArn } = session
    if (!hold.told) {
      hold.told = true
      const { accessKeyId, expiration } = credentials
      report({
        kind: 'session-shared',
        ...factsOf(entry),
        owners: [hold.owner],
        accessKeyId,
        assumedRoleArn,
        expiration,
      })
    }
    return { kind: 'credentials', credentials, assumedRoleArn }
  }

  /** What can be said of an entry this moment; `undefined` where only STS can tell. */
  function answerNow(entry: Entry, hold: Hold): BrokerAnswer | undefined {
    const { session, denial, failure } = entry
    if (session !== undefined && remainingMs(session.life, clock) > SAFETY_MS)
      return given(entry, hold, session)
    const now = clock.monotonic()
    if (denial !== undefined && denial.until > now) {
      return { kind: 'denied', code: denial.code, message: denial.message }
    }
    if (failure !== undefined && failure.until > now) {
      return { kind: 'unavailable', code: failure.code, message: failure.message }
    }
    return undefined
  }

  /** A document that has become old: its renewal is late, or has failed. */
  async function renewed(
    entry: Entry,
    hold: Hold,
    held: LiveSession,
    request: BrokerRequest,
  ): Promise<BrokerAnswer> {
    const now = clock.monotonic()
    const quietUntil = Math.max(entry.failure?.until ?? 0, entry.denial?.until ?? 0)
    if (entry.flight === undefined && quietUntil > now) return given(entry, hold, held)
    const settled = keeper.fetch(entry, 'request')
    // Where STS has just failed there is no use in waiting for it.
    if (calls.isHealthy(entry.grant)) {
      const left = remainingMs(held.life, clock)
      const patience = left > held.life.waitBelowMs ? RENEWAL_PATIENCE_MS : left - SAFETY_MS
      const deadline = Math.min(request.deadline, now + patience)
      await waitUntil(settled, { signal: request.signal, deadline }, clock)
    }
    return answerNow(entry, hold) ?? given(entry, hold, held)
  }

  async function fetched(entry: Entry, hold: Hold, request: BrokerRequest): Promise<BrokerAnswer> {
    const outcome = await waitUntil(keeper.fetch(entry, 'request'), request, clock)
    switch (outcome) {
      case 'settled':
        return answerNow(entry, hold) ?? unavailable('ABORTED', 'the pod was released while STS was asked')
      case 'deadline':
        return unavailable('DEADLINE', 'STS had not answered when the caller could wait no longer')
      case 'aborted':
        return unavailable('ABORTED', 'the caller hung up')
      default:
        return outcome satisfies never
    }
  }

  /** Forgets the oldest entry that is kept for no pod, where there are too many. */
  function makeRoom(): void {
    if (holdings.entries.size <= settings.maxSessions) return
    for (const entry of holdings.entries.values()) {
      if (isWanted(entry) || entry.flight !== undefined) continue
      keeper.drop(entry, 'unused')
      return
    }
  }

  return {
    async credentials(grant, request) {
      if (closed) return unavailable('ABORTED', 'the agent is stopping')
      const entry = holdings.of(grant, request.owner.uid)
      const hold = holdings.own(entry, request.owner)
      const { session } = entry
      if (session !== undefined) {
        const left = remainingMs(session.life, clock)
        if (left > session.life.floorMs) return given(entry, hold, session)
        if (left > SAFETY_MS) return renewed(entry, hold, session, request)
      }
      const known = entry.flight === undefined ? answerNow(entry, hold) : undefined
      if (known !== undefined) return known
      const answer = fetched(entry, hold, request)
      makeRoom()
      return answer
    },

    want(owner, grant) {
      if (closed) return
      const entry = holdings.of(grant, owner.uid)
      const hold = holdings.own(entry, owner)
      const news = !hold.wanted
      hold.wanted = true
      for (const other of holdings.heldFor(owner.uid)) {
        if (other === entry) continue
        holdings.disown(other, owner.uid)
        if (other.owners.size === 0) keeper.drop(other, 'replaced')
      }
      if (news) keeper.lookAfter(entry)
      makeRoom()
    },

    release(uid) {
      for (const entry of holdings.heldFor(uid)) {
        holdings.disown(entry, uid)
        if (entry.owners.size === 0) keeper.drop(entry, 'released')
      }
    },

    warmUp: (signal) => tokenService.warmUp(signal),

    sessions: () => [...holdings.entries.values()].flatMap(describe),

    async close() {
      closed = true
      const flights = [...holdings.entries.values()].flatMap(({ flight }) => flight?.settled ?? [])
      for (const entry of holdings.entries.values()) keeper.drop(entry, 'closed')
      await Promise.all(flights)
      calls.close()
    },
  }
}

const unavailable = (code: 'ABORTED' | 'DEADLINE', message: string): BrokerAnswer => ({
  kind: 'unavailable',
  code,
  message,
})

function describe({ key, grant, session, owners }: Entry): HeldSession[] {
  if (session === undefined) return []
  const { accessKeyId, issuedAt, expiration } = session.credentials
  return [
    {
      key,
      role: grant.role.text,
      sessionName: grant.sessionName,
      accessKeyId,
      issuedAt,
      expiration,
      owners: [...owners.keys()],
    },
  ]
}
