import type { Clock } from '@kube2iam-ts/core'

export type WaitOutcome = 'settled' | 'deadline' | 'aborted'

/** One caller's wait for something that goes on without it. Leaves no timer and no listener behind. */
export function waitUntil(
  settled: Promise<void>,
  { signal, deadline }: { readonly signal: AbortSignal; readonly deadline: number },
  clock: Clock,
): Promise<WaitOutcome> {
  if (signal.aborted) return Promise.resolve('aborted')
  const left = deadline - clock.monotonic()
  if (left <= 0) return Promise.resolve('deadline')
  return new Promise((resolve) => {
    const finish = (outcome: WaitOutcome) => {
      cancel()
      signal.removeEventListener('abort', onAbort)
      resolve(outcome)
    }
    const onAbort = () => finish('aborted')
    const cancel = clock.after(left, () => finish('deadline'))
    signal.addEventListener('abort', onAbort, { once: true })
    void settled.then(() => finish('settled'))
  })
}
