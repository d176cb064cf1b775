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

test('a note that arrives as the last one is finished does not wait for another', async () => {
  const written: string[] = []
  make(async ({ subject }) => {
    written.push(subject.name)
    return 'written'
  })
  events.record(note('first'))
  // One at each step between the last write and the end of the loop: one of them is the moment meant.
  for (let step = 0; step < 20; step += 1) {
    events.record(note(`pod-${step}`))
    await clock.advance(0)
    await Promise.resolve()
  }
  const more = Array.from({ length: 3 }, (_, index) => `late-${index}`)
  for (const name of more) {
    for (let step = 0; step < 3; step += 1) await Promise.resolve()
    events.record(note(name))
  }
  await clock.advance(0)
  expect(written).toHaveLength(24)
})

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
