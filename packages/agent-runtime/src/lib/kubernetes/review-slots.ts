import { type Clock, type IpAddress, isCoded } from '@kube2iam-ts/core'
import type { Patience } from '@kube2iam-ts/metadata-emulator'

/** Who may ask the API server now, and who waits for a turn. */
export interface ReviewSlots {
  /** Resolves true with a slot, which `release` gives back; false where there was none in time. */
  take(peer: IpAddress, patience: Patience): Promise<boolean>
  release(peer: IpAddress): void
}

/** Calls under way at once, whoever asks. */
const MOST = 16
/** Of these, on behalf of one address: host-network pods share their node's, and take turns. */
const MOST_OF_ONE = 2
const MOST_WAITING_OF_ONE = 64

/** Lets those who wait have their turn in order, but for those whose address has its share already. */
export function createReviewSlots(clock: Clock): ReviewSlots {
  const taken = new Map<IpAddress, number>()
  const waiting = new Set<{ readonly peer: IpAddress; readonly turn: AbortController }>()
  let underWay = 0

  const isFree = (peer: IpAddress): boolean => underWay < MOST && (taken.get(peer) ?? 0) < MOST_OF_ONE
  const enter = (peer: IpAddress): void => {
    underWay += 1
    taken.set(peer, (taken.get(peer) ?? 0) + 1)
  }
  const waitingOf = (peer: IpAddress): number =>
    [...waiting].reduce((sum, one) => (one.peer === peer ? sum + 1 : sum), 0)

  return {
    async take(peer, { deadline, signal }) {
      if (isFree(peer)) {
        enter(peer)
        return true
      }
      if (waitingOf(peer) >= MOST_WAITING_OF_ONE) return false
      const waiter = { peer, turn: new AbortController() }
      waiting.add(waiter)
      try {
        await clock.sleep(deadline - clock.monotonic(), AbortSignal.any([signal, waiter.turn.signal]))
      } catch (error) {
        if (!isCoded(error, 'ABORTED')) throw error
      } finally {
        waiting.delete(waiter)
      }
      // Also where the turn came in the same moment as the deadline: the slot is then taken, and has to be given back.
      return waiter.turn.signal.aborted
    },

    release(peer) {
      underWay -= 1
      const left = (taken.get(peer) ?? 1) - 1
      if (left === 0) taken.delete(peer)
      else taken.set(peer, left)
      for (const waiter of waiting) {
        if (!isFree(waiter.peer)) continue
        enter(waiter.peer)
        waiting.delete(waiter)
        waiter.turn.abort()
        return
      }
    },
  }
}
