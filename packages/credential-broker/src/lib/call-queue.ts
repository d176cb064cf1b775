import type { Cancel, Clock } from '@kube2iam-ts/core'
import type { TokenBucket } from './token-bucket.ts'

/** Who goes first when calls have to wait: a pod that is asking, a session that is ageing, a pod that may ask. */
export type Urgency = 'request' | 'renewal' | 'prefetch'

export interface CallQueueOptions {
  clock: Clock
  bucket: TokenBucket
  /** Calls under way at once. */
  concurrency: number
  /** Calls that may wait; more are turned away. */
  capacity: number
}

export interface CallTicket {
  /** Resolves when the call may start. */
  readonly admitted: Promise<void>
  /** A pod has begun to ask for what is waiting here. */
  raise(urgency: Urgency): void
  /** The call is over, or is not wanted any more. To be called once in every case. */
  done(): void
}

/** Lets calls through one by one: never more at once than `concurrency`, never more in time than the bucket has. */
export interface CallQueue {
  /** `undefined`: too many are waiting. */
  enter(urgency: Urgency): CallTicket | undefined
  close(): void
  readonly waiting: number
  readonly running: number
}

const ORDER: readonly Urgency[] = ['request', 'renewal', 'prefetch']

export function createCallQueue({ clock, bucket, concurrency, capacity }: CallQueueOptions): CallQueue {
  interface Waiting {
    urgency: Urgency
    start: () => void
  }
  // In order of arrival; a node has hundreds of pods at most, so a scan is cheap.
  const waiting = new Set<Waiting>()
  let running = 0
  let wake: Cancel | undefined

  function next(): Waiting | undefined {
    for (const urgency of ORDER) {
      for (const item of waiting) if (item.urgency === urgency) return item
    }
    return undefined
  }

  function pump(): void {
    wake?.()
    wake = undefined
    while (running < concurrency) {
      const item = next()
      if (item === undefined) return
      if (!bucket.take()) {
        wake = clock.after(bucket.waitMs(), pump)
        return
      }
      waiting.delete(item)
      running += 1
      item.start()
    }
  }

  return {
    enter(urgency) {
      if (waiting.size >= capacity) return undefined
      const { promise, resolve } = Promise.withResolvers<void>()
      let state: 'waiting' | 'running' | 'done' = 'waiting'
      const item: Waiting = {
        urgency,
        start() {
          state = 'running'
          resolve()
        },
      }
      waiting.add(item)
      pump()
      return {
        admitted: promise,
        raise(higher) {
          if (ORDER.indexOf(higher) < ORDER.indexOf(item.urgency)) item.urgency = higher
        },
        done() {
          if (state === 'running') running -= 1
          waiting.delete(item)
          state = 'done'
          pump()
        },
      }
    },
    close() {
      wake?.()
      waiting.clear()
    },
    get waiting() {
      return waiting.size
    },
    get running() {
      return running
    },
  }
}
