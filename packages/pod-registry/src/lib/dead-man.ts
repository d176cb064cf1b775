import type { Clock } from '@kube2iam-ts/core'

/** Ends a request of which nothing is heard any more: a half-open connection says nothing for ever. */
export interface DeadMan {
  /** Aborted by silence or by the caller's signal. */
  readonly signal: AbortSignal
  readonly fired: boolean
  /** The body, each chunk of which is a sign of life. */
  watched(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  stop(): void
}

export function createDeadMan(clock: Clock, silenceMs: number, outer: AbortSignal): DeadMan {
  const controller = new AbortController()
  const onOuter = (): void => controller.abort(outer.reason)
  if (outer.aborted) onOuter()
  outer.addEventListener('abort', onOuter, { once: true })
  let fired = false
  let heardAt = clock.monotonic()
  let cancel = clock.after(silenceMs, check)

  // One timer that looks when it was last heard, instead of a new timer for every chunk.
  function check(): void {
    const left = heardAt + silenceMs - clock.monotonic()
    if (left > 0) {
      cancel = clock.after(left, check)
      return
    }
    fired = true
    controller.abort(new Error('silence'))
  }

  return {
    signal: controller.signal,
    get fired() {
      return fired
    },
    async *watched(body) {
      for await (const chunk of body) {
        heardAt = clock.monotonic()
        yield chunk
      }
      controller.signal.throwIfAborted()
    },
    stop() {
      cancel()
      outer.removeEventListener('abort', onOuter)
      controller.abort(new Error('finished'))
    },
  }
}
