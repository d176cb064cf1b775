import type { Clock, IpAddress, PodIdentity, Report } from '@kube2iam-ts/core'
import { holdsAddresses } from './pod-index.ts'
import type { RegistryEvent } from './registry-events.ts'

/**
 * Asks the source itself which pods of this node hold an address now. Rejects where it cannot tell; `[]` is the
 * answer that nobody does.
 */
export type ConfirmAddress = (address: IpAddress, signal: AbortSignal) => Promise<readonly PodIdentity[]>

export interface ConfirmationsOptions {
  confirm: ConfirmAddress
  clock: Clock
  report: Report<RegistryEvent>
  signal: AbortSignal
}

/** Direct questions about addresses: one per address and second, however many ask. */
export interface Confirmations {
  /** Whether the address could be asked about now: it was not within the last second. */
  wanted(address: IpAddress): boolean
  /** Asks, unless somebody asked within the last second; calls back when the answer is in. */
  ask(address: IpAddress, onAnswer: () => void): void
  /** Whether an answer is under way. */
  asking(address: IpAddress): boolean
  /** The answer of the last second; `undefined` where there is none, or it failed. */
  recent(address: IpAddress): readonly PodIdentity[] | undefined
}

const ONCE_PER_MS = 1000
/** Longer than this, nobody waits for the answer any more. */
const ANSWER_WITHIN_MS = 5000
const MOST_ADDRESSES = 4096

interface Asked {
  readonly at: number
  answering: boolean
  pods: readonly PodIdentity[] | undefined
}

export function createConfirmations({ confirm, clock, report, signal }: ConfirmationsOptions): Confirmations {
  const asked = new Map<IpAddress, Asked>()
  const fresh = (address: IpAddress): Asked | undefined => {
    const known = asked.get(address)
    return known !== undefined && (known.answering || clock.monotonic() - known.at < ONCE_PER_MS)
      ? known
      : undefined
  }

  return {
    wanted: (address) => fresh(address) === undefined,
    ask(address, onAnswer) {
      if (fresh(address) !== undefined || signal.aborted) return
      forgetOld()
      if (asked.size >= MOST_ADDRESSES) return
      const entry: Asked = { at: clock.monotonic(), answering: true, pods: undefined }
      asked.set(address, entry)
      void query(address, entry).then(onAnswer)
    },
    asking: (address) => fresh(address)?.answering === true,
    recent: (address) => fresh(address)?.pods,
  }

  async function query(address: IpAddress, entry: Asked): Promise<void> {
    const controller = new AbortController()
    const stop = (): void => controller.abort()
    signal.addEventListener('abort', stop, { once: true })
    const cancel = clock.after(ANSWER_WITHIN_MS, stop)
    try {
      const pods = await confirm(address, controller.signal)
      entry.pods = pods.filter((pod) => holdsAddresses(pod) && pod.addresses.includes(address))
    } catch {
      entry.pods = undefined
    } finally {
      entry.answering = false
      cancel()
      signal.removeEventListener('abort', stop)
    }
    const count = entry.pods?.length
    const outcome = count === undefined ? 'failed' : count === 0 ? 'none' : count === 1 ? 'one' : 'many'
    report({ kind: 'address-confirmed', address, outcome, tookMs: clock.monotonic() - entry.at })
  }

  function forgetOld(): void {
    for (const address of asked.keys()) if (fresh(address) === undefined) asked.delete(address)
  }
}
