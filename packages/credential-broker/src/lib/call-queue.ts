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

/**
 * Lets calls through one by one: never more at once than `concurrency`, never more in time than the bucket has; the
 * urgent ones first, and among those each lane (a namespace) in its turn, so that one tenant's crash loop does not
 * stand in front of everybody.
 */
export interface CallQueue {
  /** `undefined`: too many are waiting. */
  enter(urgency: Urgency, lane: string): CallTicket | undefined
  close(): void
}

interface Waiting {
  urgency: Urgency
  readonly lane: string
  readonly start: () => void
}

const ORDER: readonly Urgency[] = ['request', 'renewal', 'prefetch']

export function createCallQueue({ clock, bucket, concurrency, capacity }: CallQueueOptions): CallQueue {
  // In order of arrival; a node has some hundred pods at most, so a scan is cheap.
  const waiting = new Set<Waiting>()
  /** When each lane had its last turn; only lanes that are waiting are kept. */
  const lastTurn = new Map<string, number>()
  let turn = 0
  let running = 0
  let wake: Cancel | undefined

  function next(): Waiting | undefined {
    let best: Waiting | undefined
    for (const item of waiting) if (best === undefined || isBefore(item, best)) best = item
    return best
  }

  function isBefore(a: Waiting, b: Waiting): boolean {
    const urgency = ORDER.indexOf(a.urgency) - ORDER.indexOf(b.urgency)
    if (urgency !== 0) return urgency < 0
    return (lastTurn.get(a.lane) ?? -1) < (lastTurn.get(b.lane) ?? -1)
  }

  function pump(): void {
    wake?.()
    wake = undefined
    while (running < concurrency) {
      const item = next()
      if (item === undefined) {
        lastTurn.clear()
        return
      }
      if (!bucket.take()) {
        wake = clock.after(bucket.waitMs(), pump)
        return
      }
      waiting.delete(item)
      turn += 1
      lastTurn.set(item.lane, turn)
      running += 1
      item.start()
    }
  }

  return {
    enter(urgency, lane) {
      if (waiting.size >= capacity) return undefined
      const { promise, resolve } = Promise.withResolvers<void>()
      let started = false
      const item: Waiting = {
        urgency,
        lane,
        start() {
          started = true
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
          if (started) running -= 1
          else waiting.delete(item)
          pump()
        },
      }
    },
    close() {
      wake?.()
      waiting.clear()
    },
  }
}
