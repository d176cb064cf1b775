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
/** Different things about one object in that time: who can make messages differ cannot make them many. */
const MOST_OF_ONE = 5
/** Objects that are remembered. */
const MOST_REMEMBERED = 1_000
const MOST_WAITING = 100
const WRITE_MS = 5_000

/**
 * Aggregates and limits what is written to the API server: a pod that asks a thousand times a second for a role that
 * it may not have makes one event in ten minutes.
 */
export function createObjectEvents({ recorder, clock, report }: ObjectEventsOptions): ObjectEvents {
  /** By object: what was taken for it, and when. */
  const taken = new Map<string, Map<string, number>>()
  /** One for each object, so that none keeps the others waiting. */
  const queue = new Map<string, EventNote>()
  const stop = new AbortController()
  let tokens = BURST
  let refilledAt = clock.monotonic()
  let running: Promise<void> | undefined

  function record(note: EventNote): void {
    if (recorder === undefined || stop.signal.aborted) return
    const uid = note.subject.uid ?? note.subject.name
    const now = clock.monotonic()
    const said = taken.get(uid) ?? new Map<string, number>()
    for (const [key, at] of said) if (now - at >= REPEAT_MS) said.delete(key)
    const key = `${note.reason}\n${note.message}`
    if (said.has(key)) return
    if (said.size >= MOST_OF_ONE || queue.has(uid) || queue.size >= MOST_WAITING) {
      return report({ kind: 'event-dropped', reason: note.reason })
    }
    const oldest = taken.size >= MOST_REMEMBERED ? taken.keys().next().value : undefined
    if (oldest !== undefined) taken.delete(oldest)
    taken.delete(uid)
    taken.set(uid, said.set(key, now))
    queue.set(uid, note)
    running ??= drain(recorder)
  }

  async function drain(to: EventRecorder): Promise<void> {
    for (let note = next(); note !== undefined; note = next()) {
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
    // In the same step as the look that found nothing: whatever is recorded from here on begins anew.
    running = undefined
  }

  function next(): EventNote | undefined {
    const [first] = queue
    if (first !== undefined) queue.delete(first[0])
    return first?.[1]
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
      taken.delete(uid)
    },
    async close() {
      stop.abort()
      queue.clear()
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
