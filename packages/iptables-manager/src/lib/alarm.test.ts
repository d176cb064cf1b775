import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, it } from 'vitest'
import { createAlarm } from './alarm.ts'

it('rings when the interval is over', async () => {
  const clock = createFakeClock()
  const ring = createAlarm(clock).wait(1_000)
  await clock.advance(1_000)
  expect(await ring).toEqual({ reason: 'poll' })
})

it('keeps a change that was told of while nobody waited', async () => {
  const clock = createFakeClock()
  const alarm = createAlarm(clock)
  alarm.ring({ reason: 'monitor', changedBy: 'firewalld' })
  expect(await alarm.wait(60_000)).toEqual({ reason: 'monitor', changedBy: 'firewalld' })
  expect(clock.pending).toBe(0)
})

it('keeps the reason that asks for most', async () => {
  const alarm = createAlarm(createFakeClock())
  for (const reason of ['poll', 'settings', 'monitor'] as const) alarm.ring({ reason })
  expect(await alarm.wait(60_000)).toEqual({ reason: 'settings' })
})
