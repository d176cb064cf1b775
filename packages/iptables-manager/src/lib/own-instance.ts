import type { Clock } from '@kube2iam-ts/core'
import type { Owner } from './rule.ts'

/** Clocks are set by steps of this size without anybody noticing; what is further ahead was written by a wrong one. */
const AHEAD_MS = 60_000

/** This instance, as its rules name it. */
export interface OwnInstance {
  /** The name and start that rules are signed with now. */
  owner(): Owner
  /** Whether an instance cannot have started when its rules say: then it has no say over us. */
  isFromTheFuture(other: Owner): boolean
}

/**
 * A start in the future is one before the clock was set back. Others do not heed it, and this instance does not insist
 * on it either, or it would fight with the ones that start after the correction.
 */
export function createOwnInstance(instance: string, clock: Clock): OwnInstance {
  const startedAt = clock.monotonic()
  let owner: Owner = { instance, startedAt: clock.now() }
  const isFromTheFuture = (other: Owner): boolean => other.startedAt > clock.now() + AHEAD_MS
  return {
    owner() {
      if (isFromTheFuture(owner))
        owner = { instance, startedAt: Math.floor(clock.now() - (clock.monotonic() - startedAt)) }
      return owner
    },
    isFromTheFuture,
  }
}
