import { type IpAddress, type PodIdentity, parseIpAddress } from '@kube2iam-ts/core'
import { aPod, createFakeClock } from '@kube2iam-ts/core/testing'
import type { TokenIdentity } from '@kube2iam-ts/pod-registry/kubernetes'
import { expect, test } from 'vitest'
import { createChanges } from '../changes.ts'
import { createTokenIdentities } from './token-identities.ts'
import { unsignedToken } from './unsigned-token.ts'

const AUDIENCE = 'pods.eks.amazonaws.com'
const PEER = parseIpAddress('10.4.0.7')

const identity = (uid: string): TokenIdentity => ({
  kind: 'service-account',
  namespace: 'default',
  serviceAccount: 'default',
  pod: { name: 'x', uid },
  audiences: [AUDIENCE],
})

function setUp(pods: PodIdentity[] = [aPod({ name: 'web', uid: 'u1' })]) {
  const clock = createFakeClock()
  const changes = createChanges(clock)
  const world = {
    asked: 0,
    underWay: 0,
    most: 0,
    hang: false,
    answer: (_token: string): TokenIdentity => identity('u1'),
  }
  const identities = createTokenIdentities({
    audience: AUDIENCE,
    clock,
    changes,
    registry: { pods: () => pods.values(), namespace: () => undefined, serviceAccount: () => undefined },
    reviewer: {
      async review(token, _audience, signal) {
        world.asked += 1
        world.underWay += 1
        world.most = Math.max(world.most, world.underWay)
        try {
          if (world.hang) await clock.sleep(3_600_000, signal)
          await clock.sleep(10, signal)
          return world.answer(token)
        } finally {
          world.underWay -= 1
        }
      },
    },
  })
  const ask = (token: string, peer: IpAddress = PEER) =>
    identities.identify(
      token,
      { deadline: clock.monotonic() + 900, signal: new AbortController().signal },
      peer,
    )
  return { clock, changes, world, pods, ask }
}

test('a token is asked about once, and remembered', async () => {
  const { clock, world, ask } = setUp()
  const token = unsignedToken({ uid: 'u1' })
  const both = Promise.all([ask(token), ask(token)])
  await clock.advance(10)
  expect(await both).toMatchObject([
    { kind: 'pod', uid: 'u1' },
    { kind: 'pod', uid: 'u1' },
  ])
  expect(await ask(token)).toMatchObject({ kind: 'pod', uid: 'u1' })
  expect(world.asked).toBe(1)
  await clock.advance(300_000)
  const again = ask(token)
  await clock.advance(10)
  await again
  expect(world.asked).toBe(2)
})

test('no token is good for longer than the API server says', async () => {
  const { clock, world, ask } = setUp()
  const endsAt = clock.now() + 2000
  const token = unsignedToken({ uid: 'u1', exp: endsAt / 1000 })
  world.answer = () => (clock.now() < endsAt ? identity('u1') : { kind: 'rejected', reason: 'expired' })
  const kind = async (): Promise<string> => {
    const asked = ask(token)
    await clock.advance(10)
    return (await asked).kind
  }
  expect(await kind()).toBe('pod')
  await clock.advance(endsAt - clock.now() - 1)
  // Remembered until then.
  expect((await ask(token)).kind).toBe('pod')
  expect(world.asked).toBe(1)
  await clock.advance(1)
  expect(await kind()).toBe('invalid')
})

test('a token that has ended by a clock that is ahead is asked about each time, and accepted', async () => {
  const { clock, world, ask } = setUp()
  const token = unsignedToken({ uid: 'u1', exp: clock.now() / 1000 - 60 })
  for (let turn = 1; turn <= 3; turn += 1) {
    const asked = ask(token)
    await clock.advance(10)
    expect((await asked).kind).toBe('pod')
    expect(world.asked).toBe(turn)
  }
})

test('a refusal is remembered for ten seconds, whenever the token ends', async () => {
  const { clock, world, ask } = setUp()
  world.answer = () => ({ kind: 'rejected', reason: 'forged' })
  const token = unsignedToken({ uid: 'u1', exp: clock.now() / 1000 + 1 })
  const first = ask(token)
  await clock.advance(10)
  await first
  await clock.advance(9_980)
  expect(await ask(token)).toEqual({ kind: 'invalid' })
  expect(world.asked).toBe(1)
})

test.each([
  ['that is none', 'x'],
  ['whose claims are no JSON', 'a.b.c'],
  ['for another audience', unsignedToken({ uid: 'u1', audience: 'https://kubernetes.default.svc' })],
  ['that has ended long ago', unsignedToken({ uid: 'u1', exp: 1_000_000_000 })],
  ['that is bound to no pod', unsignedToken({ uid: '' })],
])('the API server is not asked about a token %s', async (_what, token) => {
  const { world, ask } = setUp()
  expect(await ask(token)).toEqual({ kind: 'invalid' })
  expect(world.asked).toBe(0)
})

test('the API server is not asked about a token of a pod that never appears', async () => {
  const { clock, world, ask } = setUp()
  const asked = ask(unsignedToken({ uid: 'nobody' }))
  await clock.advance(900)
  const found = await asked
  expect(found.kind === 'pod' && found.lookup()).toEqual({ kind: 'unknown' })
  expect(world.asked).toBe(0)
})

test('what a token claims is nothing without the API server’s word, also when its pod appears late', async () => {
  const { clock, changes, world, pods, ask } = setUp([])
  world.answer = () => ({ kind: 'rejected', reason: 'forged' })
  const asked = ask(unsignedToken({ uid: 'u1' }))
  await clock.advance(100)
  pods.push(aPod({ name: 'web', uid: 'u1' }))
  changes.notify()
  await clock.advance(10)
  expect(await asked).toEqual({ kind: 'invalid' })
})

test('the token of a pod that is not known yet waits for it', async () => {
  const { clock, changes, pods, ask } = setUp([])
  const asked = ask(unsignedToken({ uid: 'u1' }))
  await clock.advance(500)
  pods.push(aPod({ name: 'web', uid: 'u1' }))
  changes.notify()
  await clock.advance(10)
  const found = await asked
  expect(found.kind === 'pod' && found.lookup()).toMatchObject({ kind: 'found', pod: { name: 'web' } })
})

test('a token that claims another pod than the API server names is invalid', async () => {
  const { clock, world, ask } = setUp([aPod({ name: 'web', uid: 'u1' }), aPod({ name: 'b', uid: 'u2' })])
  world.answer = () => identity('u2')
  const asked = ask(unsignedToken({ uid: 'u1' }))
  await clock.advance(10)
  expect(await asked).toEqual({ kind: 'invalid' })
})

test('500 tokens and a silent API server make 16 calls at once, which end after five seconds', async () => {
  const { clock, world, ask } = setUp()
  world.hang = true
  const asked = Array.from({ length: 500 }, (_, id) =>
    ask(unsignedToken({ uid: 'u1', id }), parseIpAddress(`10.4.${id % 250}.9`)),
  )
  await clock.advance(900)
  expect(new Set((await Promise.all(asked)).map(({ kind }) => kind))).toEqual(new Set(['unavailable']))
  expect([world.most, world.underWay]).toEqual([16, 16])
  await clock.advance(4_100)
  expect(world.underWay).toBe(0)
  world.hang = false
  const token = unsignedToken({ uid: 'u1', id: 0 })
  const again = ask(token)
  await clock.advance(10)
  expect(await again).toMatchObject({ kind: 'pod' })
})

test('one peer has two calls under way at most, and keeps nobody else waiting', async () => {
  const { clock, world, ask } = setUp()
  world.hang = true
  const loud = Array.from({ length: 100 }, (_, id) => ask(unsignedToken({ uid: 'u1', id })))
  await clock.advance(0)
  expect(world.underWay).toBe(2)
  world.hang = false
  const quiet = ask(unsignedToken({ uid: 'u1', id: 999 }), parseIpAddress('10.4.0.8'))
  await clock.advance(10)
  expect(await quiet).toMatchObject({ kind: 'pod' })
  await clock.advance(900)
  await Promise.all(loud)
})

test('those of one peer that wait have their turn', async () => {
  const { clock, world, ask } = setUp()
  const asked = Array.from({ length: 10 }, (_, id) => ask(unsignedToken({ uid: 'u1', id })))
  for (let step = 0; step < 10; step += 1) await clock.advance(10)
  expect((await Promise.all(asked)).map(({ kind }) => kind)).toEqual(Array.from({ length: 10 }, () => 'pod'))
  expect(world.most).toBe(2)
})

test('a flood of refused tokens makes nobody’s token forgotten', async () => {
  const { clock, world, ask } = setUp()
  const good = unsignedToken({ uid: 'u1' })
  world.answer = (token) => (token === good ? identity('u1') : { kind: 'rejected', reason: 'forged' })
  const first = ask(good)
  await clock.advance(10)
  await first
  for (let id = 1; id <= 2_000; id += 2) {
    const forged = [ask(unsignedToken({ uid: 'u1', id })), ask(unsignedToken({ uid: 'u1', id: id + 1 }))]
    await clock.advance(10)
    await Promise.all(forged)
  }
  const before = world.asked
  expect(await ask(good)).toMatchObject({ kind: 'pod' })
  expect(world.asked).toBe(before)
})
