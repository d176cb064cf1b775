import type { Clock, IpAddress } from '@kube2iam-ts/core'

export interface FairTurnsOptions {
  readonly clock: Clock
  /** Turns in a second; 0 sets no limit. */
  readonly perSecond: number
  /** Turns that nobody took are kept, up to so many. */
  readonly burst: number
}

/** Who wants a turn. The signal is read only where somebody has to wait. */
export interface Asker {
  readonly peer: IpAddress
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal
}

export interface FairTurns {
  /**
   * Whether the peer may go ahead: at once while there are turns, else within a moment or not at all. One that is not
   * needed any more when its time comes, because another did the work, costs no turn.
   */
  take(asker: Asker, isNeeded: () => boolean): boolean | Promise<boolean>
}

/**
 * A client that gives up on its headers after half a second must have its answer or its 503 by then, and one that waits
 * for a second must have it although the metadata service is slow besides.
 */
const WAIT_MS = 150
/** More of one peer are refused at once: their turns would come too late. */
const WAITING_OF_PEER = 4
/** Of more peers it is forgotten when they had their turn, beginning with the one that had it longest ago. */
const REMEMBERED_PEERS = 1024

interface Waiter {
  readonly isNeeded: () => boolean
  end(isTurn: boolean): void
}

/**
 * A token bucket that several share without one taking it all: while turns are left whoever asks has one, so that a
 * peer alone may have them all; when there are none, the next goes to the peer whose last turn is longest ago. A peer
 * that asks without end gets what the others leave, and several such get equal parts of it.
 */
export function createFairTurns({ clock, perSecond, burst }: FairTurnsOptions): FairTurns {
  let left = burst
  let countedAt = clock.monotonic()
  /** Those of each peer that wait, in the order in which they came. */
  const waiting = new Map<IpAddress, Waiter[]>()
  /** The number of each peer's last turn, the longest ago first. */
  const lastTurns = new Map<IpAddress, number>()
  let turns = 0
  let isTimed = false

  const count = (): void => {
    const now = clock.monotonic()
    left = Math.min(burst, left + ((now - countedAt) * perSecond) / 1000)
    countedAt = now
  }

  const spend = (peer: IpAddress): void => {
    left -= 1
    turns += 1
    lastTurns.delete(peer)
    lastTurns.set(peer, turns)
    const [oldest] = lastTurns.keys()
    if (oldest !== undefined && lastTurns.size > REMEMBERED_PEERS) lastTurns.delete(oldest)
  }

  const nextPeer = (): IpAddress | undefined => {
    if (left < 1) return undefined
    let next: IpAddress | undefined
    let longestAgo = Number.POSITIVE_INFINITY
    for (const peer of waiting.keys()) {
      const last = lastTurns.get(peer) ?? 0
      if (last >= longestAgo) continue
      next = peer
      longestAgo = last
    }
    return next
  }

  const give = (): void => {
    isTimed = false
    count()
    const unneeded = [...waiting.values()].flat().filter((waiter) => !waiter.isNeeded())
    for (const waiter of unneeded) waiter.end(true)
    for (let peer = nextPeer(); peer !== undefined; peer = nextPeer()) {
      spend(peer)
      waiting.get(peer)?.[0]?.end(true)
    }
    time()
  }

  const time = (): void => {
    if (isTimed || waiting.size === 0) return
    isTimed = true
    clock.after(Math.ceil(((1 - left) * 1000) / perSecond), give)
  }

  const wait = ({ peer, signal }: Asker, isNeeded: () => boolean): Promise<boolean> =>
    new Promise((resolve) => {
      const waiters = waiting.get(peer) ?? []
      const waiter: Waiter = {
        isNeeded,
        end(isTurn) {
          cancel()
          signal.removeEventListener('abort', giveUp)
          waiters.splice(waiters.indexOf(waiter), 1)
          if (waiters.length === 0) waiting.delete(peer)
          resolve(isTurn)
        },
      }
      const giveUp = (): void => waiter.end(false)
      const cancel = clock.after(WAIT_MS, giveUp)
      signal.addEventListener('abort', giveUp, { once: true })
      waiters.push(waiter)
      waiting.set(peer, waiters)
      time()
    })

  return {
    take(asker, isNeeded) {
      if (perSecond === 0) return true
      count()
      if (left >= 1 && waiting.size === 0) {
        spend(asker.peer)
        return true
      }
      if ((waiting.get(asker.peer)?.length ?? 0) >= WAITING_OF_PEER || asker.signal.aborted) return false
      return wait(asker, isNeeded)
    },
  }
}
