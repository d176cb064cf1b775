import { Secret } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { lifeOf, remainingMs } from './session-life.ts'

const MINUTE = 60_000
const START = new Date('2026-01-01T00:00:00Z')

/** A session of the length, from a server whose clock is ahead of the node's. */
function setUp({ minutes = 60, skewMinutes = 0, random = 0.5, tellTime = true } = {}) {
  const clock = createFakeClock(START)
  const server = START.getTime() + skewMinutes * MINUTE
  const secret = new Secret('x')
  const life = lifeOf(
    {
      credentials: {
        accessKeyId: 'ASIA',
        secretAccessKey: secret,
        sessionToken: secret,
        issuedAt: START,
        expiration: new Date(server + minutes * MINUTE),
      },
      assumedRoleArn: '',
      packedPolicySize: undefined,
      serverTime: tellTime ? new Date(server) : undefined,
    },
    clock.monotonic(),
    clock,
    () => random,
    30 * MINUTE,
  )
  return { clock, life, renewAfter: (life.renewAt - clock.monotonic()) / MINUTE }
}

test.each([
  [60, 0, 28],
  [60, 1, 24],
  [720, 0, 336],
  [15, 1, 6],
])('a session of %i minutes with jitter %i is renewed after %i', (minutes, random, after) => {
  expect(setUp({ minutes, random }).renewAfter).toBeCloseTo(after)
})

test.each([
  [60, 30],
  [720, 30],
  [40, 20],
])('a session of %i minutes is served old only below %i', (minutes, floor) => {
  expect(setUp({ minutes }).life.floorMs).toBe(floor * MINUTE)
})

test.each([-600, -7, 0, 7, 600])('what is left is real with a node %i minutes off', (skewMinutes) => {
  const { clock, life } = setUp({ skewMinutes })
  expect(remainingMs(life, clock)).toBe(60 * MINUTE)
  expect(life.skewMs).toBe(skewMinutes * MINUTE)
})

test('without a Date header the node’s clock is believed', () => {
  const { clock, life } = setUp({ skewMinutes: 10, tellTime: false })
  expect(remainingMs(life, clock)).toBe(70 * MINUTE)
})

test('setting the clock back gives no more, setting it forward takes away', async () => {
  const { clock, life } = setUp()
  await clock.advance(20 * MINUTE)
  clock.jump(-600 * MINUTE)
  expect(remainingMs(life, clock)).toBe(40 * MINUTE)
  clock.jump(610 * MINUTE)
  expect(remainingMs(life, clock)).toBe(30 * MINUTE)
})

test('life is counted from the question and not from an answer that came late', async () => {
  const clock = createFakeClock(START)
  const askedAt = clock.monotonic()
  await clock.advance(3_000)
  const secret = new Secret('x')
  const life = lifeOf(
    {
      credentials: {
        accessKeyId: 'ASIA',
        secretAccessKey: secret,
        sessionToken: secret,
        issuedAt: START,
        expiration: new Date(START.getTime() + 60 * MINUTE),
      },
      assumedRoleArn: '',
      packedPolicySize: undefined,
      serverTime: START,
    },
    askedAt,
    clock,
    () => 0,
    30 * MINUTE,
  )
  expect(remainingMs(life, clock)).toBe(60 * MINUTE - 3_000)
})
