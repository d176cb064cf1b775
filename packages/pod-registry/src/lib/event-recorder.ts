import type { Clock, Random } from '@kube2iam-ts/core'
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
  /** For the person who reads `kubectl describe`; at most 1 KiB of its UTF-8 is kept. */
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
  random: Random
  /** `reportingController`. */
  component: string
  /** `reportingInstance`: the node or pod that reports. Its first 128 bytes are kept. */
  instance: string
  /** The same Event about the same object is written once in this time. 10 minutes. */
  repeatAfterMs?: number
}

/** In bytes, as the API server counts (kubernetes/kubernetes, `ValidateEventCreate`); it refuses what is longer. */
const LONGEST_NOTE = 1024
const LONGEST_INSTANCE = 128
const LONGEST_NAME = 253
const REMEMBERED = 1024

/** Needs `create` of `events.events.k8s.io`. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { connection, clock, random, component, repeatAfterMs = 600_000 } = options
  const instance = beginning(options.instance, LONGEST_INSTANCE)
  const written = new Map<string, number>()

  return {
    async record({ subject, type, reason, action, message }, signal) {
      const note = beginning(message, LONGEST_NOTE, '…')
      const key = JSON.stringify([subject.kind, subject.namespace, subject.name, subject.uid, reason, note])
      const last = written.get(key)
      if (last !== undefined && clock.monotonic() - last < repeatAfterMs) return 'repeated'
      remember(key)
      const namespace = subject.namespace ?? 'default'
      const event = {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: nameOf(subject), namespace },
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

  /**
   * As client-go names Events. A `generateName` will not do: the API server wants one that is a name by itself, and cuts
   * it at 58 characters.
   */
  function nameOf({ name }: EventSubject): string {
    const tail = Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
    const suffix = `.${clock.now().toString(16)}${tail}`
    return `${name.slice(0, LONGEST_NAME - suffix.length).replace(/[-.]+$/, '')}${suffix}`
  }

  function remember(key: string): void {
    written.delete(key)
    written.set(key, clock.monotonic())
    const oldest = written.keys().next()
    if (written.size > REMEMBERED && !oldest.done) written.delete(oldest.value)
  }
}

/** As much of a text as its UTF-8 has room, `mark` in place of what is cut off. No character is torn. */
function beginning(text: string, bytes: number, mark = ''): string {
  const whole = Buffer.from(text)
  if (whole.length <= bytes) return text
  let end = bytes - Buffer.byteLength(mark)
  while (((whole[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return whole.toString('utf8', 0, end) + mark
}
