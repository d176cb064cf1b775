import type { Clock, PodIdentity, Report } from '@kube2iam-ts/core'
import type { EventNote, EventRecorder, EventSubject } from '@kube2iam-ts/pod-registry/kubernetes'

export type ObjectEventsReport =
  | { readonly kind: 'event-dropped'; readonly reason: string }
  | { readonly kind: 'event-failed'; readonly reason: string; readonly error: string }

export interface ObjectEventsOptions {
  /** Absent: nothing is written. */
  readonly recorder: EventRecorder | undefined
  readonly clock: Clock
  readonly report: Report<ObjectEventsReport>
}

/** Events for `kubectl describe`, from places that must not wait. */
export interface ObjectEvents {
  /** Takes note and returns at once; never throws, never waits. */
  record(note: EventNote): void
  /** The object is gone: nobody reads its events any more. */
  forget(uid: string): void
  close(): Promise<void>
}

/** The same thing about the same object is written again at most this often. */
const REPEAT_MS = 600_000
/** What one node may write in a burst, and how soon it may write one more: client-go's order of magnitude. */
const BURST = 25
const REFILL_MS = 2_000
const MOST_REMEMBERED = 1_000
const MOST_WAITING = 100
const WRITE_MS = 5_000

/**
 * Aggregates and limits what is written to the API server: a pod that asks a thousand times a second for a role that
 * it may not have makes one event in ten minutes.
 */
export function createObjectEvents({ recorder, clock, report }: ObjectEventsOptions): ObjectEvents {
  const takenAt = new Map<string, { readonly uid: string; readonly at: number }>()
  const queue: EventNote[] = []
  const stop = new AbortController()
  let tokens = BURST
  let refilledAt = clock.monotonic()
  let running: Promise<void> | undefined

  function record(note: EventNote): void {
    if (recorder === undefined || stop.signal.aborted) return
    const uid = note.subject.uid ?? note.subject.name
    const key = `${uid}\n${note.reason}\n${note.message}`
    const before = takenAt.get(key)
    const now = clock.monotonic()
    if (before !== undefined && now - before.at < REPEAT_MS) return
    if (queue.length >= MOST_WAITING) return report({ kind: 'event-dropped', reason: note.reason })
    const oldest = takenAt.size >= MOST_REMEMBERED ? takenAt.keys().next().value : undefined
    if (oldest !== undefined) takenAt.delete(oldest)
    takenAt.delete(key)
    takenAt.set(key, { uid, at: now })
    queue.push(note)
    running ??= drain(recorder).finally(() => {
      running = undefined
    })
  }

  async function drain(to: EventRecorder): Promise<void> {
    for (let note = queue.shift(); note !== undefined; note = queue.shift()) {
      if (!(await budget())) return
      const late = new AbortController()
      const cancel = clock.after(WRITE_MS, () => late.abort())
      try {
        await to.record(note, AbortSignal.any([stop.signal, late.signal]))
      } catch (error) {
        if (stop.signal.aborted) return
        report({
          kind: 'event-failed',
          reason: note.reason,
          error: error instanceof Error ? error.message : '',
        })
      } finally {
        cancel()
      }
    }
  }

  /** Waits for the budget; false when the agent stops meanwhile. */
  async function budget(): Promise<boolean> {
    for (;;) {
      const earned = Math.floor((clock.monotonic() - refilledAt) / REFILL_MS)
      tokens = Math.min(BURST, tokens + earned)
      refilledAt += earned * REFILL_MS
      if (tokens >= 1) break
      try {
        await clock.sleep(REFILL_MS, stop.signal)
      } catch {
        return false
      }
    }
    tokens -= 1
    return !stop.signal.aborted
  }

  return {
    record,
    forget(uid) {
      for (const [key, entry] of takenAt) if (entry.uid === uid) takenAt.delete(key)
    },
    async close() {
      stop.abort()
      queue.length = 0
      await running
    },
  }
}

export const aboutPod = ({ namespace, name, uid }: PodIdentity): EventSubject => ({
  kind: 'Pod',
  namespace,
  name,
  uid,
})

/** kubelet names the node as its own uid, and `kubectl describe node` looks for that. */
export const aboutNode = (name: string): EventSubject => ({ kind: 'Node', name, uid: name })
