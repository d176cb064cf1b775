import type { Clock, Random, Report } from '@kube2iam-ts/core'
import type { Urgency } from './call-queue.ts'
import type { BrokerEvent } from './events.ts'
import { type Entry, factsOf, type Holdings, isWanted, type LiveSession } from './holdings.ts'
import { lifeOf, remainingMs, SAFETY_MS } from './session-life.ts'
import type { BrokerSettings } from './settings.ts'
import type { CallOutcome, StsCalls } from './sts-calls.ts'

export interface SessionKeeperOptions {
  holdings: Holdings
  calls: StsCalls
  clock: Clock
  random: Random
  settings: BrokerSettings
  report: Report<BrokerEvent>
}

type Dropped = Extract<BrokerEvent, { kind: 'session-dropped' }>['reason']

/**
 * Looks after entries: asks STS for them, remembers what came of it, and sees to it that what is to happen next
 * happens: a renewal before half life, another try after a failure, the end.
 */
export interface SessionKeeper {
  /** Asks STS unless it is being asked already; resolves, and never rejects, when that is over. */
  fetch(entry: Entry, reason: Urgency): Promise<void>
  /** A pod will ask for it: what is not there is fetched ahead, what is there is kept fresh. */
  lookAfter(entry: Entry): void
  /** A pod was given the session: it is kept fresh for one life of it, within which whoever uses it asks again. */
  used(entry: Entry, session: LiveSession): void
  /** Forgets the entry, and aborts its call. */
  drop(entry: Entry, reason: Dropped): void
}

/** Prefetches are spread by this much for every one that is waiting already. */
const SPREAD_PER_PREFETCH_MS = 100
/** A difference that is worth a line in the log. */
const SKEW_STEP_MS = 60_000

export function createSessionKeeper(options: SessionKeeperOptions): SessionKeeper {
  const { holdings, calls, clock, random, settings, report } = options
  let prefetching = 0
  let toldSkewMs = 0

  function fetch(entry: Entry, reason: Urgency): Promise<void> {
    if (entry.flight !== undefined) {
      entry.flight.call.raise(reason)
      return entry.flight.settled
    }
    clearTimer(entry)
    const [first] = entry.owners.values()
    const call = calls.begin(entry.grant, reason, first?.owner.namespace ?? '')
    const settled = call.outcome.then((outcome) => {
      entry.flight = undefined
      if (!holdings.isHeld(entry)) return
      took(entry, outcome, reason)
      scheduleNext(entry)
    })
    entry.flight = { call, settled }
    return settled
  }

  /** At once if alone, spread if in a crowd. */
  function prefetch(entry: Entry): void {
    const spread = Math.min(settings.prefetchSpreadMs, prefetching * SPREAD_PER_PREFETCH_MS)
    prefetching += 1
    at(entry, clock.monotonic() + random() * spread, () => {
      prefetching -= 1
      void fetch(entry, 'prefetch')
    })
    const cancel = entry.timer
    entry.timer = () => {
      prefetching -= 1
      cancel?.()
    }
  }

  function took(entry: Entry, outcome: CallOutcome, reason: Urgency): void {
    const about = { ...factsOf(entry), renewal: entry.session !== undefined, reason }
    switch (outcome.kind) {
      case 'issued': {
        const { session, askedAt } = outcome
        const { skewMs, ...life } = lifeOf(session, askedAt, clock, random, settings.minimumLifeMs)
        Object.assign(entry, { session: { ...session, life }, idle: false, ...UNTROUBLED })
        for (const hold of entry.owners.values()) hold.told = true
        const { assumedRoleArn, packedPolicySize } = session
        const { accessKeyId, expiration } = session.credentials
        const durationMs = clock.monotonic() - askedAt
        report({
          kind: 'session-issued',
          ...about,
          accessKeyId,
          assumedRoleArn,
          expiration,
          durationMs,
          packedPolicySize,
        })
        return tellSkew(skewMs)
      }
      case 'denied': {
        const { code, message } = outcome
        const { denialTtlMs, longestDenialTtlMs } = settings
        const retryInMs = Math.min(longestDenialTtlMs, doubled(denialTtlMs, entry.denials))
        entry.denials += 1
        entry.failure = undefined
        entry.denial = { code, message, until: clock.monotonic() + retryInMs }
        return report({ kind: 'session-denied', ...about, code, message, retryInMs })
      }
      case 'failed': {
        const { code, message, atLeastMs, cause } = outcome
        const retryInMs = atLeastMs + random() * retryBound(entry)
        entry.failure = { code, message, until: clock.monotonic() + retryInMs }
        // Says nothing new about STS, and would be told for every pod of the node; the circuit has told its state.
        if (code === 'CIRCUIT_OPEN') return
        entry.failures += 1
        return report({ kind: 'session-failed', ...about, code, message, retryInMs, cause })
      }
      case 'aborted':
        return
      default:
        outcome satisfies never
    }
  }

  /** Twice as long after each failure; and the nearer the end of what is held, the shorter. */
  function retryBound({ session, failures }: Entry): number {
    const bound = Math.min(settings.retryMaxMs, doubled(settings.retryBaseMs, failures))
    const left = session === undefined ? Number.POSITIVE_INFINITY : remainingMs(session.life, clock)
    return Math.max(settings.retryBaseMs, Math.min(bound, left / 10))
  }

  /** Every entry has one timer at most, and none while a call is under way or after it was dropped. */
  function scheduleNext(entry: Entry): void {
    clearTimer(entry)
    const { session, failure } = entry
    const quietUntil = quietUntilOf(entry)
    if (session === undefined) {
      if (!isWanted(entry)) return at(entry, quietUntil + settings.denialTtlMs, () => drop(entry, 'unused'))
      // A failure is tried again for a pod that will ask; a refusal only when it asks.
      if (failure !== undefined) at(entry, failure.until, () => void fetch(entry, 'prefetch'))
      return
    }
    const end = session.life.endsAt - SAFETY_MS
    const renewAt = Math.max(session.life.renewAt, quietUntil)
    if (renewAt >= end) return at(entry, end, () => expire(entry))
    at(entry, renewAt, () => {
      if (isNeeded(entry)) {
        void fetch(entry, 'renewal')
        return
      }
      entry.idle = true
      at(entry, end, () => drop(entry, 'unused'))
    })
  }

  /**
   * Whether a newer session will be asked for: a pod is to find it ready, or has asked not long ago. And a renewal that
   * was begun and failed is brought to its end, so that who asks late does not find what an outage has left.
   */
  function isNeeded(entry: Entry): boolean {
    return isWanted(entry) || entry.usedUntil > clock.monotonic() || entry.failures > 0
  }

  function expire(entry: Entry): void {
    if (!isWanted(entry)) return drop(entry, 'expired')
    tellDropped(entry, 'expired')
    entry.session = undefined
    scheduleNext(entry)
  }

  function drop(entry: Entry, reason: Dropped): void {
    clearTimer(entry)
    holdings.remove(entry)
    entry.flight?.call.abort()
    tellDropped(entry, reason)
    entry.session = undefined
  }

  function tellDropped(entry: Entry, reason: Dropped): void {
    if (entry.session === undefined) return
    const { accessKeyId, expiration } = entry.session.credentials
    report({ kind: 'session-dropped', ...factsOf(entry), reason, accessKeyId, expiration })
  }

  function tellSkew(skewMs: number): void {
    if (Math.abs(skewMs - toldSkewMs) < SKEW_STEP_MS) return
    toldSkewMs = skewMs
    report({ kind: 'clock-skewed', skewMs })
  }

  function at(entry: Entry, when: number, act: () => void): void {
    clearTimer(entry)
    entry.timer = clock.after(when - clock.monotonic(), () => {
      entry.timer = undefined
      act()
    })
  }

  return {
    fetch,
    drop,
    used(entry, { life }) {
      entry.usedUntil = clock.monotonic() + life.wholeMs
      if (!entry.idle) return
      entry.idle = false
      scheduleNext(entry)
    },
    lookAfter(entry) {
      if (entry.flight !== undefined) return
      if (entry.session === undefined && quietUntilOf(entry) <= clock.monotonic()) prefetch(entry)
      else scheduleNext(entry)
    },
  }
}

const UNTROUBLED = { failure: undefined, failures: 0, denial: undefined, denials: 0 }

/** Until when STS is left alone about the entry (`Clock.monotonic`). */
const quietUntilOf = ({ failure, denial }: Entry): number => Math.max(failure?.until ?? 0, denial?.until ?? 0)

const doubled = (base: number, times: number): number => base * 2 ** Math.min(times, 20)

function clearTimer(entry: Entry): void {
  entry.timer?.()
  entry.timer = undefined
}
