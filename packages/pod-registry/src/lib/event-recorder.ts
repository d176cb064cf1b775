import type { Clock } from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import { readJson } from './read-json.ts'

/** What an Event is about. */
export interface EventSubject {
  readonly kind: 'Pod' | 'Node' | 'Namespace' | 'ServiceAccount'
  readonly name: string
  /** `undefined` of what has none: its Events go to `default`. */
  readonly namespace?: string
  readonly uid?: string
}

export interface EventNote {
  readonly subject: EventSubject
  readonly type: 'Normal' | 'Warning'
  /** UpperCamelCase, one of a fixed few: `RoleForbidden`. */
  readonly reason: string
  /** What was being done: `AssumeRole`. */
  readonly action: string
  /** For the person who reads `kubectl describe`; at most 1 kB of it is kept. */
  readonly message: string
}

/** Writes Events that `kubectl describe` shows. */
export interface EventRecorder {
  /**
   * Writes the Event, unless the same one was written within `repeatAfterMs`: `repeated`. Rejects as `readJson` does;
   * callers log that and go on.
   */
  record(note: EventNote, signal?: AbortSignal): Promise<'written' | 'repeated'>
}

export interface EventRecorderOptions {
  connection: ApiConnection
  clock: Clock
  /** `reportingController`. */
  component: string
  /** `reportingInstance`: the node or pod that reports. */
  instance: string
  /** The same Event about the same object is written once in this time. 10 minutes. */
  repeatAfterMs?: number
}

const LONGEST_NOTE = 1024
const REMEMBERED = 1024

/** Needs `create` of `events.events.k8s.io`. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { connection, clock, component, instance, repeatAfterMs = 600_000 } = options
  const written = new Map<string, number>()

  return {
    async record({ subject, type, reason, action, message }, signal) {
      const note = message.length > LONGEST_NOTE ? `${message.slice(0, LONGEST_NOTE - 1)}…` : message
      const key = JSON.stringify([subject.kind, subject.namespace, subject.name, subject.uid, reason, note])
      const last = written.get(key)
      if (last !== undefined && clock.monotonic() - last < repeatAfterMs) return 'repeated'
      remember(key)
      const namespace = subject.namespace ?? 'default'
      const event = {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { generateName: `${subject.name.slice(0, 200)}.`, namespace },
        // MicroTime: RFC 3339 with six digits.
        eventTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
        reportingController: component,
        reportingInstance: instance,
        action,
        reason,
        type,
        note,
        regarding: { apiVersion: 'v1', ...subject },
      }
      try {
        await readJson(connection, {
          method: 'POST',
          path: `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(event),
          ...(signal && { signal }),
        })
      } catch (error) {
        written.delete(key)
        throw error
      }
      return 'written'
    },
  }

  function remember(key: string): void {
    written.delete(key)
    written.set(key, clock.monotonic())
    const oldest = written.keys().next()
    if (written.size > REMEMBERED && !oldest.done) written.delete(oldest.value)
  }
}
