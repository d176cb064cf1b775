import type { Clock, IpAddress, PodIdentity } from '@kube2iam-ts/core'
import type { Confirmations } from './confirmations.ts'
import type { Doubts, Testimony } from './doubts.ts'
import type { FeedProgress } from './feed-progress.ts'
import type { Lookup } from './lookup.ts'
import type { Binding, PodIndex } from './pod-index.ts'
import { olderThan } from './resource-version.ts'

export interface ExaminerOptions {
  index: Pick<PodIndex, 'claims' | 'isNode'>
  /** Of the pods' feed. */
  progress: FeedProgress
  /** Absent: nobody can be asked. */
  confirmations: Confirmations | undefined
  confirmWhenBehind: boolean
  /** Absent: the node tells nothing. */
  doubts: Doubts | undefined
  clock: Clock
  found: (pod: PodIdentity, boundAt: number) => Lookup
}

/** Who an address is, and whether there is reason to ask the API server about it. */
export interface Examined {
  readonly answer: Lookup
  readonly isDoubtful: boolean
}

/**
 * Where nothing but the watch tells of an address, silence for so long may be that of a watch that is stuck. Pods' events
 * come at any time, bookmarks about once a minute.
 */
const QUIET_MS = 5000

const SILENCE: Testimony = Object.freeze({ kind: 'none' })

/** Weighs what is known of an address: by the watch, by the API server's direct answer, and by the node itself. */
export function createExaminer(options: ExaminerOptions): (address: IpAddress) => Examined {
  const { index, progress, confirmations, confirmWhenBehind, doubts, clock, found } = options
  return examine

  /** Who the address is, and whether there is reason to ask the API server about it. */
  function examine(address: IpAddress): Examined {
    const claims = index.claims(address)
    const [claim, rival] = claims
    let testimony = claim !== undefined && rival === undefined ? testify(address, claim) : SILENCE
    const isContradicted = testimony.kind === 'against'
    const isQuiet = claim !== undefined && testimony.kind === 'none' && progress.ageMs() > QUIET_MS
    const direct = directAnswer(address, isContradicted || rival !== undefined || isQuiet)
    const [pod, other] = direct ?? claims.map((binding) => binding.pod)
    if (pod !== undefined && other !== undefined) {
      const pods = direct ?? claims.map((binding) => binding.pod)
      return { answer: { kind: 'ambiguous', pods }, isDoubtful: confirmWhenBehind || isContradicted }
    }
    const isDoubtful = confirmWhenBehind && progress.isBehind()
    if (pod !== undefined) {
      if (direct === undefined && progress.isBehind() && isOverdue(pod)) {
        return { answer: { kind: 'stale' }, isDoubtful: isDoubtful || isContradicted }
      }
      const binding = claims.find((known) => known.pod.uid === pod.uid) ?? directBinding(address, pod)
      if (binding !== claim || rival !== undefined) testimony = testify(address, { pod, mark: binding.mark })
      if (testimony.kind === 'against') {
        return { answer: { kind: 'in-doubt', pod, interface: testimony.interface }, isDoubtful: true }
      }
      const isOnlyWatch = confirmWhenBehind && isQuiet && testimony.kind === 'none'
      return { answer: found(pod, binding.boundAt), isDoubtful: isDoubtful || isOnlyWatch }
    }
    if (index.isNode(address)) return { answer: { kind: 'node' }, isDoubtful: false }
    const kind = direct !== undefined ? 'unknown' : nobody()
    return { answer: { kind }, isDoubtful: isDoubtful || isContradicted }
  }

  function testify(address: IpAddress, binding: Pick<Binding, 'pod' | 'mark'>): Testimony {
    return doubts === undefined ? SILENCE : doubts.testimony(address, binding)
  }

  function nobody(): 'not-synced' | 'stale' | 'unknown' {
    if (!progress.isSynced()) return 'not-synced'
    return progress.isStale() ? 'stale' : 'unknown'
  }

  /** A pod of which only the API server's direct answer tells: bound since answers name it. */
  function directBinding(address: IpAddress, pod: PodIdentity): Binding {
    const latest = confirmations?.latest(address)
    return { pod, boundAt: latest?.since ?? clock.now(), mark: latest?.mark ?? 0 }
  }

  /** Whether the kubelet has ended it by now, where the node is well: its address may be another pod's. */
  function isOverdue({ deletedAt }: PodIdentity): boolean {
    return deletedAt !== undefined && deletedAt.getTime() <= clock.now()
  }

  /**
   * What the API server itself said about the address, where that is newer than what the watch has told so far. With
   * versions that is certain; without, it holds for a second, and only where the index is in doubt.
   */
  function directAnswer(address: IpAddress, isInQuestion: boolean): readonly PodIdentity[] | undefined {
    const latest = confirmations?.latest(address)
    if (latest === undefined) return undefined
    const reached = progress.version
    if (latest.version !== undefined && reached !== undefined) {
      return olderThan(reached, latest.version) ? latest.pods : undefined
    }
    return latest.ageMs < 1000 && (isInQuestion || progress.isBehind()) ? latest.pods : undefined
  }
}
