import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createTokenBucket } from './token-bucket.ts'

function setUp() {
  const clock = createFakeClock()
  const bucket = createTokenBucket({ clock, ratePerSecond: 10, burst: 20 })
  const drain = () => {
    let taken = 0
    while (bucket.take()) taken += 1
    return taken
  }
  return { clock, bucket, drain }
}

test('lets a burst through and then its rate', async () => {
  const { clock, bucket, drain } = setUp()
  expect(drain()).toBe(20)
  expect(bucket.waitMs()).toBe(100)
  await clock.advance(1_000)
  expect(drain()).toBe(10)
  await clock.advance(60_000)
  expect(drain()).toBe(20)
})

test('a throttled answer takes what is left and halves the rate, once a second, down to a fifth of a call', async () => {
  const { clock, bucket, drain } = setUp()
  bucket.throttled()
  bucket.throttled()
  expect(bucket.ratePerSecond).toBe(5)
  expect(drain()).toBe(0)
  for (let second = 0; second < 20; second += 1) {
    await clock.advance(1_000)
    bucket.throttled()
  }
  expect(bucket.ratePerSecond).toBe(0.2)
  expect(bucket.waitMs()).toBe(5_000)
})

test('a throttled node has no burst, however long it rests', async () => {
  const { clock, bucket, drain } = setUp()
  bucket.throttled()
  await clock.advance(60_000)
  expect(drain()).toBe(1)
})

test('successes give the rate back by the second and not by the call', async () => {
  const { clock, bucket } = setUp()
  bucket.throttled()
  for (let second = 0; second < 10; second += 1) {
    await clock.advance(1_000)
    for (let call = 0; call < 50; call += 1) bucket.succeeded()
  }
  expect(bucket.ratePerSecond).toBeCloseTo(5.2)
  for (let second = 0; second < 600; second += 1) {
    await clock.advance(1_000)
    bucket.succeeded()
  }
  expect(bucket.ratePerSecond).toBe(10)
})
