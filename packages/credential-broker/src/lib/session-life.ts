import type { Clock, Random } from '@kube2iam-ts/core'
import type { IssuedSession } from './token-service.ts'

/** How long one session is good, told by clocks that can be trusted. */
export interface SessionLife {
  /** From its beginning to its end. */
  readonly wholeMs: number
  /** `Clock.monotonic` when it ends: setting the wall clock does not move it. */
  readonly endsAt: number
  /** `Clock.now` when it ends, by this node's (perhaps wrong) wall clock. */
  readonly endsAtWall: number
  /** `Clock.monotonic` when it is to be renewed. */
  readonly renewAt: number
  /** No document with less life left is served while STS works. */
  readonly floorMs: number
  /** A document with less is worth any wait for a newer one. */
  readonly waitBelowMs: number
}

/** STS reports whole seconds, and the answer takes its time to arrive: nothing is served this close to its end. */
export const SAFETY_MS = 5_000

/** Renewal begins this part of the life before half life at the earliest … */
const EARLY = 0.1
/** … and this part before it at the latest, so that the answer is there when half life comes. */
const LATEST = 1 / 30

/** Of the least life that is served: SDKs stretch documents that had less than 25 minutes when they came. */
const WAIT_BELOW = 25 / 30

/**
 * Measures a session's life from the answer itself: STS said when it ends and, in the Date header, what its own time
 * was, so the difference is right however wrong the node's clock is.
 */
export function lifeOf(
  { credentials, serverTime }: IssuedSession,
  askedAt: number,
  clock: Clock,
  random: Random,
  minimumLifeMs: number,
): SessionLife & { readonly skewMs: number } {
  const wall = clock.now()
  // The Date header was true when the answer left; the earliest that can have been is when it was asked for, so
  // life is counted from there and errs towards too short.
  const started = Math.min(askedAt, clock.monotonic())
  const lifeMs = credentials.expiration.getTime() - (serverTime?.getTime() ?? wall)
  const floorMs = Math.min(minimumLifeMs, lifeMs / 2)
  const skewMs = serverTime === undefined ? 0 : serverTime.getTime() - wall
  return {
    wholeMs: lifeMs,
    endsAt: started + lifeMs,
    endsAtWall: credentials.expiration.getTime() - skewMs,
    renewAt: started + lifeMs / 2 - lifeMs * (LATEST + random() * (EARLY - LATEST)),
    floorMs,
    waitBelowMs: floorMs * WAIT_BELOW,
    skewMs,
  }
}

/**
 * Real life left. Both clocks are asked, and the shorter answer holds: the monotonic one stands still while a
 * virtual machine is suspended, and the wall clock can be set.
 */
export function remainingMs(life: SessionLife, clock: Clock): number {
  return Math.min(life.endsAt - clock.monotonic(), life.endsAtWall - clock.now())
}
