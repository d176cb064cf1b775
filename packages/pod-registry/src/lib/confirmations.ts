import type { Clock, IpAddress, PodIdentity, Report } from '@kube2iam-ts/core'
import { holdsAddresses } from './pod-index.ts'
import type { RegistryEvent } from './registry-events.ts'

/** What the source itself said about an address. */
export interface DirectAnswer {
  /** The pods at the address; empty: there is none. */
  readonly pods: readonly PodIdentity[]
  /** The version of the answer, where versions are told. */
  readonly version?: string
}

/** Asks the source itself which pods of this node hold an address now. Rejects where it cannot tell. */
export type ConfirmAddress = (address: IpAddress, signal: AbortSignal) => Promise<DirectAnswer>

export interface ConfirmationsOptions {
  confirm: ConfirmAddress
  clock: Clock
  report: Report<RegistryEvent>
  signal: AbortSignal
  /** Noted with each question: what the caller had seen of the node by then. */
  mark?: () => number
  /** An answer has come, before anybody is told. */
  onAnswer?: (address: IpAddress, answer: Confirmed) => void
}

/** An answer that was had. */
export interface Confirmed extends DirectAnswer {
  readonly ageMs: number
  /** When the question was asked (`Clock.monotonic`). */
  readonly askedAt: number
  /** Since when answers say the same of the address (`Clock.now`), and what `mark` gave when the first was asked for. */
  readonly since: number
  readonly mark: number
}

/** Direct questions about addresses: one per address and second, however many ask. */
export interface Confirmations {
  /** Asks, unless somebody asked within the last second or too much is asked already; calls back when it is over. */
  ask(address: IpAddress, whenOver: () => void): void
  /** Whether the address was asked about within the last second. */
  isAsked(address: IpAddress): boolean
  /** Whether an answer is under way. */
  isAsking(address: IpAddress): boolean
  /** The last answer; `undefined` where there is none. A question that failed changes nothing. */
  latest(address: IpAddress): Confirmed | undefined
}

const ONCE_PER_MS = 1000
/** Longer than this, nobody waits for the answer any more. */
const ANSWER_WITHIN_MS = 5000
/** A node that lost touch must not become the API server's next problem. */
const MOST_AT_ONCE = 16
const MOST_REMEMBERED = 4096
const REMEMBERED_FOR_MS = 600_000

interface Asked {
  askedAt: number
  mark: number
  answering: boolean
  answer: Omit<Confirmed, 'ageMs'> | undefined
  answeredAt: number
}

export function createConfirmations(options: ConfirmationsOptions): Confirmations {
  const { confirm, clock, report, signal, mark = () => 0, onAnswer = () => {} } = options
  const asked = new Map<IpAddress, Asked>()
  let inFlight = 0
  const isAsked = (address: IpAddress): boolean => {
    const known = asked.get(address)
    return known !== undefined && (known.answering || clock.monotonic() - known.askedAt < ONCE_PER_MS)
  }

  return {
    ask(address, whenOver) {
      if (isAsked(address) || inFlight >= MOST_AT_ONCE || signal.aborted) return
      const known = asked.get(address)
      const entry: Asked = known ?? { askedAt: 0, mark: 0, answering: true, answer: undefined, answeredAt: 0 }
      entry.askedAt = clock.monotonic()
      entry.mark = mark()
      entry.answering = true
      asked.delete(address)
      asked.set(address, entry)
      forget()
      void question(address, entry).then(whenOver)
    },
    isAsked,
    isAsking: (address) => asked.get(address)?.answering === true,
    latest(address) {
      const known = asked.get(address)
      if (known?.answer === undefined) return undefined
      return { ...known.answer, ageMs: clock.monotonic() - known.answeredAt }
    },
  }

  async function question(address: IpAddress, entry: Asked): Promise<void> {
    const controller = new AbortController()
    const stop = (): void => controller.abort()
    signal.addEventListener('abort', stop, { once: true })
    const cancel = clock.after(ANSWER_WITHIN_MS, stop)
    inFlight += 1
    let outcome: 'one' | 'none' | 'many' | 'failed' = 'failed'
    try {
      const answer = await confirm(address, controller.signal)
      const pods = answer.pods.filter((pod) => holdsAddresses(pod) && pod.addresses.includes(address))
      const first = { since: clock.now(), mark: entry.mark }
      const { since, mark } = samePods(entry.answer?.pods, pods) ? (entry.answer ?? first) : first
      entry.answer = { ...answer, pods, askedAt: entry.askedAt, since, mark }
      entry.answeredAt = clock.monotonic()
      onAnswer(address, { ...entry.answer, ageMs: 0 })
      outcome = pods.length === 0 ? 'none' : pods.length === 1 ? 'one' : 'many'
    } catch {
      // What was known stays known; the event says that the question failed.
    } finally {
      inFlight -= 1
      entry.answering = false
      cancel()
      signal.removeEventListener('abort', stop)
    }
    report({ kind: 'address-confirmed', address, outcome, tookMs: clock.monotonic() - entry.askedAt })
  }

  /** Drops what is oldest: the map is in the order of asking. */
  function forget(): void {
    const horizon = clock.monotonic() - REMEMBERED_FOR_MS
    for (const [address, { askedAt, answering }] of asked) {
      if (asked.size <= MOST_REMEMBERED && (askedAt > horizon || answering)) return
      if (!answering) asked.delete(address)
    }
  }
}

const samePods = (before: readonly PodIdentity[] = [], after: readonly PodIdentity[]): boolean =>
  before.map(({ uid }) => uid).join() === after.map(({ uid }) => uid).join()
