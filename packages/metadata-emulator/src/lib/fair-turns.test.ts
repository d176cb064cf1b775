import { type IpAddress, parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createFairTurns } from './fair-turns.ts'

const peerAt = (last: number): IpAddress => parseIpAddress(`10.4.0.${last}`)
const QUIET = peerAt(250)
const { signal } = new AbortController()
const always = (): boolean => true

function setUp(rate = { perSecond: 50, burst: 100 }) {
  const clock = createFakeClock()
  const turns = createFairTurns({ clock, ...rate })
  const take = (peer: IpAddress, isNeeded = always) => turns.take({ peer, signal }, isNeeded)
  /** Peers that always want another turn; how many turns each had. */
  const had = new Map<IpAddress, number>()
  const over = new AbortController()
  const greedy = async (peer: IpAddress): Promise<void> => {
    while (!over.signal.aborted) {
      if (await take(peer)) had.set(peer, (had.get(peer) ?? 0) + 1)
      else await clock.sleep(20)
    }
  }
  const begin = (peers: number, loops: number): void => {
    for (let peer = 1; peer <= peers; peer += 1) {
      for (let loop = 0; loop < loops; loop += 1) void greedy(peerAt(peer))
    }
  }
  const end = async (): Promise<void> => {
    over.abort()
    await clock.advance(1000)
  }
  return { clock, turns, take, had, begin, end }
}

/** Time in small steps, as loops that wait for each other need it. */
async function pass(clock: ReturnType<typeof createFakeClock>, ms: number): Promise<void> {
  for (let step = 0; step < ms; step += 10) await clock.advance(10)
}

test('one peer alone has all there is: the burst at once, then the rate', async () => {
  const { clock, had, begin, end } = setUp()
  begin(1, 4)
  await clock.advance(0)
  expect(had.get(peerAt(1))).toBe(100)
  await pass(clock, 2000)
  expect(had.get(peerAt(1))).toBeGreaterThanOrEqual(198)
  expect(had.get(peerAt(1))).toBeLessThanOrEqual(201)
  await end()
})

test.each([1, 20, 100])('%i peers that ask without end keep no quiet one from its turn', async (peers) => {
  const { clock, take, begin, end } = setUp()
  begin(peers, 4)
  await pass(clock, 2000)
  for (let turn = 0; turn < 3; turn += 1) {
    const asked = clock.monotonic()
    const isTurn = Promise.resolve(take(QUIET)).then((is) => [is, clock.monotonic() - asked] as const)
    await pass(clock, 2500)
    const [is, waitedMs] = await isTurn
    expect(is).toBe(true)
    expect(waitedMs).toBeLessThanOrEqual(30)
  }
  await end()
})

test('several that ask without end have equal parts, however many loops each has', async () => {
  const { clock, had, begin, end } = setUp({ perSecond: 50, burst: 1 })
  begin(1, 20)
  begin(4, 2)
  await pass(clock, 2000)
  const counts = [1, 2, 3, 4].map((peer) => had.get(peerAt(peer)) ?? 0)
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2)
  expect(counts.reduce((sum, one) => sum + one)).toBeGreaterThanOrEqual(98)
  await end()
})

test('a fifth of one peer is refused at once, the others when their time is over', async () => {
  const { clock, take } = setUp({ perSecond: 1, burst: 0.5 })
  const four = Promise.all(Array.from({ length: 4 }, async () => await take(QUIET)))
  expect(take(QUIET)).toBe(false)
  expect(take(peerAt(1))).toBeInstanceOf(Promise)
  await clock.advance(150)
  expect(await four).toEqual([false, false, false, false])
  expect(take(QUIET)).toBeInstanceOf(Promise)
})

test('a turn that is not needed any more costs none', async () => {
  const { clock, take } = setUp({ perSecond: 50, burst: 1 })
  expect(take(QUIET)).toBe(true)
  let isNeeded = true
  const first = take(peerAt(1), () => isNeeded)
  const second = take(peerAt(2))
  isNeeded = false
  await clock.advance(20)
  expect(await Promise.all([first, second])).toEqual([true, true])
})

test('who hangs up leaves its place to the next', async () => {
  const { clock, turns, take } = setUp({ perSecond: 50, burst: 1 })
  expect(take(QUIET)).toBe(true)
  const leaving = new AbortController()
  const first = turns.take({ peer: peerAt(1), signal: leaving.signal }, always)
  const second = take(peerAt(2))
  leaving.abort()
  expect(await first).toBe(false)
  await clock.advance(20)
  expect(await second).toBe(true)
  expect(turns.take({ peer: peerAt(1), signal: leaving.signal }, always)).toBe(false)
})

test('a rate of 0 sets no limit', () => {
  const { take } = setUp({ perSecond: 0, burst: 0 })
  for (let turn = 0; turn < 1000; turn += 1) expect(take(QUIET)).toBe(true)
})
