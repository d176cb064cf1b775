import { createFakeClock } from '@kube2iam-ts/core/testing'
import type { EventNote, EventRecorder } from '@kube2iam-ts/pod-registry/kubernetes'
import { afterEach, expect, test } from 'vitest'
import { createObjectEvents, type ObjectEvents, type ObjectEventsReport } from './object-events.ts'

const clock = createFakeClock()
let events: ObjectEvents
afterEach(() => events.close())

const note = (name: string, message = 'm'): EventNote => ({
  subject: { kind: 'Pod', namespace: 'default', name, uid: `uid-of-${name}` },
  type: 'Warning',
  action: 'AssumeRole',
  reason: 'OtherRoleRequested',
  message,
})

function make(record: EventRecorder['record']) {
  const reports: ObjectEventsReport[] = []
  events = createObjectEvents({ recorder: { record }, clock, report: (event) => void reports.push(event) })
  return reports
}

test.each(Array.from({ length: 16 }, (_, steps) => steps))(
  'a note that arrives %d steps after the one before is written without waiting for a third',
  async (steps) => {
    const written: string[] = []
    make(async ({ subject }) => {
      written.push(subject.name)
      return 'written'
    })
    events.record(note('first'))
    for (let step = 0; step < steps; step += 1) await Promise.resolve()
    events.record(note('second'))
    await clock.advance(0)
    expect(written).toEqual(['first', 'second'])
  },
)

test('one pod has one place among those that wait, however much there is to say of it', async () => {
  const written: EventNote[] = []
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const reports = make(async (one) => {
    await held
    written.push(one)
    return 'written'
  })
  for (let index = 0; index < 1_000; index += 1) events.record(note('loud', `asked for r${index}`))
  events.record(note('quiet'))
  release()
  await clock.advance(0)
  expect(written.map(({ subject }) => subject.name)).toEqual(['loud', 'loud', 'quiet'])
  expect(reports.filter(({ kind }) => kind === 'event-dropped')).toHaveLength(998)
})

test('one pod gets a few different events in ten minutes, and more after that', async () => {
  let written = 0
  make(async () => {
    written += 1
    return 'written'
  })
  for (let index = 0; index < 100; index += 1) {
    events.record(note('loud', `asked for r${index}`))
    await clock.advance(5_000)
  }
  expect(written).toBe(5)
  await clock.advance(600_000)
  events.record(note('loud', 'asked again'))
  await clock.advance(0)
  expect(written).toBe(6)
})

test('what was said of an object that is gone is said again of the next one with its uid', async () => {
  let written = 0
  make(async () => {
    written += 1
    return 'written'
  })
  events.record(note('a'))
  events.record(note('a'))
  await clock.advance(0)
  expect(written).toBe(1)
  events.forget('uid-of-a')
  events.record(note('a'))
  await clock.advance(0)
  expect(written).toBe(2)
})
