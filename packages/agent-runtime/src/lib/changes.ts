import { type Clock, isCoded } from '@kube2iam-ts/core'

/** Wakes whoever waits for something to become known. */
export interface Changes {
  /** Something that decisions depend on has changed. */
  notify(): void
  /** Resolves true at the next change, false at the deadline (`Clock.monotonic`) or when the signal is aborted. */
  next(patience: { readonly signal: AbortSignal; readonly deadline: number }): Promise<boolean>
}

export function createChanges(clock: Clock): Changes {
  let waiting = new Set<() => void>()
  return {
    notify() {
      const woken = waiting
      waiting = new Set()
      for (const wake of woken) wake()
    },
    async next({ signal, deadline }) {
      const left = deadline - clock.monotonic()
      if (left <= 0 || signal.aborted) return false
      const woken = new AbortController()
      const wake = () => woken.abort()
      waiting.add(wake)
      try {
        await clock.sleep(left, AbortSignal.any([signal, woken.signal]))
        return false
      } catch (error) {
        if (!isCoded(error, 'ABORTED')) throw error
        return woken.signal.aborted
      } finally {
        waiting.delete(wake)
      }
    },
  }
}
