import { aborted } from '@kube2iam-ts/core'

/** The promise, or `ABORTED` as soon as one of the signals is aborted. */
export function untilAborted(
  promise: Promise<unknown>,
  ...signals: (AbortSignal | undefined)[]
): Promise<void> {
  return new Promise((resolve, reject) => {
    const given = signals.filter((signal) => signal !== undefined)
    const onAbort = (event?: Event): void => {
      leave()
      reject(aborted(event?.target instanceof AbortSignal ? event.target : undefined))
    }
    const leave = (): void => {
      for (const signal of given) signal.removeEventListener('abort', onAbort)
    }
    for (const signal of given) signal.addEventListener('abort', onAbort, { once: true })
    if (given.some((signal) => signal.aborted)) return onAbort()
    promise.then(() => {
      leave()
      resolve()
    }, reject)
  })
}
