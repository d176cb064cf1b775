import { aborted, type Cancel, type Clock, type IpAddress } from '@kube2iam-ts/core'
import type { Lookup } from './lookup.ts'

export interface PendingLookupsOptions {
  clock: Clock
  /** How many may wait for one address. */
  perAddress: number
  /** How many may wait altogether. */
  total: number
}

/** Lookups that wait to be woken by the event that answers them. Nothing polls. */
export interface PendingLookups {
  /** Waits until `answer` gives something at a wake, or the deadline, at which `last` says what is known then. */
  wait(address: IpAddress, options: WaitOptions): Promise<Lookup>
  /** Asks the waiters of the address again. */
  wake(address: IpAddress): void
  wakeAll(): void
  /** Answers everybody with what is known, and takes no more. */
  close(): void
  readonly size: number
}

export interface WaitOptions {
  /** `Clock.monotonic` milliseconds. */
  deadline: number
  signal: AbortSignal
  /** `undefined`: not yet. */
  answer: () => Lookup | undefined
  last: () => Lookup
}

export function createPendingLookups({ clock, perAddress, total }: PendingLookupsOptions): PendingLookups {
  const waiting = new Map<IpAddress, Set<() => boolean>>()
  let size = 0
  let closed = false

  return {
    wait(address, { deadline, signal, answer, last }) {
      if (signal.aborted) return Promise.reject(aborted(signal))
      if (closed) return Promise.resolve(last())
      const waiters = waiting.get(address) ?? new Set()
      if (size >= total || waiters.size >= perAddress) return Promise.resolve({ kind: 'overloaded' })
      waiting.set(address, waiters)
      size += 1
      return new Promise((resolve, reject) => {
        let cancel: Cancel = () => {}
        const leave = (): void => {
          cancel()
          signal.removeEventListener('abort', onAbort)
          waiters.delete(ask)
          size -= 1
          if (waiters.size === 0 && waiting.get(address) === waiters) waiting.delete(address)
        }
        const onAbort = (): void => {
          leave()
          reject(aborted(signal))
        }
        const ask = (): boolean => {
          const found = closed ? last() : answer()
          if (found === undefined) return false
          leave()
          resolve(found)
          return true
        }
        waiters.add(ask)
        signal.addEventListener('abort', onAbort, { once: true })
        cancel = clock.after(deadline - clock.monotonic(), () => {
          leave()
          resolve(last())
        })
      })
    },
    wake(address) {
      for (const ask of waiting.get(address) ?? []) ask()
    },
    wakeAll() {
      for (const waiters of waiting.values()) for (const ask of waiters) ask()
    },
    close() {
      closed = true
      this.wakeAll()
    },
    get size() {
      return size
    },
  }
}
