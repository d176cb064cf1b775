import { parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createRateLimiter } from './rate-limit.ts'

const pod = parseIpAddress('10.0.0.1')
const other = parseIpAddress('10.0.0.2')
const drain = (take: () => boolean): number => {
  let taken = 0
  while (taken < 10_000 && take()) taken += 1
  return taken
}

test('a pod has its burst at once and its rate from then on', async () => {
  const clock = createFakeClock()
  const limiter = createRateLimiter({ clock, perSecond: 10, burst: 30 })
  expect(drain(() => limiter.take(pod))).toBe(30)
  await clock.advance(1000)
  expect(drain(() => limiter.take(pod))).toBe(10)
  await clock.advance(60_000)
  expect(drain(() => limiter.take(pod))).toBe(30)
})

test('each address has its own', () => {
  const limiter = createRateLimiter({ clock: createFakeClock(), perSecond: 1, burst: 2 })
  expect(drain(() => limiter.take(pod))).toBe(2)
  expect(drain(() => limiter.take(other))).toBe(2)
})

test('a clock that is set back takes nothing away', async () => {
  const clock = createFakeClock()
  const limiter = createRateLimiter({ clock, perSecond: 1, burst: 2 })
  drain(() => limiter.take(pod))
  clock.jump(-3_600_000)
  await clock.advance(1000)
  expect(limiter.take(pod)).toBe(true)
})

test('a rate of 0 is no limit', () => {
  const limiter = createRateLimiter({ clock: createFakeClock(), perSecond: 0, burst: 0 })
  expect(drain(() => limiter.take(pod))).toBe(10_000)
})

test('buckets that are full again are forgotten', async () => {
  const clock = createFakeClock()
  const limiter = createRateLimiter({ clock, perSecond: 1, burst: 1 })
  for (let one = 0; one < 1024; one += 1) limiter.take(parseIpAddress(`10.1.${one >> 8}.${one & 255}`))
  expect(limiter.size).toBe(1024)
  await clock.advance(2000)
  limiter.take(pod)
  expect(limiter.size).toBe(1)
})
