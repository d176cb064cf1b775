import { expect, test } from 'vitest'
import { createBackoff } from './backoff.ts'
import { isCoded } from './errors.ts'
import { createFakeClock } from './fake-clock.ts'
import { createSeededRandom } from './seeded-random.ts'

/** How long each of `count` waits took. */
async function waits(options: { baseMs: number; maxMs: number; random: () => number }, count: number) {
  const clock = createFakeClock(new Date(0))
  const backoff = createBackoff({ clock, ...options })
  const taken: number[] = []
  for (let index = 0; index < count; index += 1) {
    const from = clock.monotonic()
    const waiting = backoff.wait()
    await clock.advance((clock.nextAt ?? from) - from)
    await waiting
    taken.push(clock.monotonic() - from)
  }
  return { taken, attempts: backoff.attempts }
}

test('each wait’s bound is twice the last, up to the longest', async () => {
  const { taken, attempts } = await waits({ baseMs: 100, maxMs: 1000, random: () => 0.5 }, 6)
  expect(taken).toEqual([50, 100, 200, 400, 500, 500])
  expect(attempts).toBe(6)
})

test('the jitter is full: anything from nothing to the bound', async () => {
  const { taken } = await waits({ baseMs: 1000, maxMs: 1000, random: createSeededRandom(7) }, 400)
  expect(Math.min(...taken)).toBeLessThan(50)
  expect(Math.max(...taken)).toBeGreaterThan(950)
  expect(Math.max(...taken)).toBeLessThan(1000)
  const mean = taken.reduce((sum, ms) => sum + ms, 0) / taken.length
  expect(mean).toBeGreaterThan(430)
  expect(mean).toBeLessThan(570)
})

test('the bound does not overflow after years of failures', async () => {
  const { taken } = await waits({ baseMs: 100, maxMs: 30_000, random: () => 0.999 }, 1100)
  expect(taken.slice(20).every((ms) => ms > 0 && ms <= 30_000)).toBe(true)
})

test('a Retry-After is waited for in full, and the jitter comes on top', async () => {
  const clock = createFakeClock(new Date(0))
  const backoff = createBackoff({ clock, random: () => 0.5, baseMs: 100, maxMs: 1000 })
  void backoff.wait(undefined, 5000)
  expect(clock.nextAt).toBe(5050)
})

test('is short again after a reset', async () => {
  const clock = createFakeClock(new Date(0))
  const backoff = createBackoff({ clock, random: () => 0.5, baseMs: 100, maxMs: 10_000 })
  for (let index = 0; index < 4; index += 1) {
    const waiting = backoff.wait()
    await clock.advance(10_000)
    await waiting
  }
  backoff.reset()
  expect(backoff.attempts).toBe(0)
  const from = clock.monotonic()
  void backoff.wait()
  expect(clock.nextAt).toBe(from + 50)
})

test('ends with the signal', async () => {
  const clock = createFakeClock()
  const backoff = createBackoff({ clock, random: () => 0.5, baseMs: 100, maxMs: 1000 })
  const controller = new AbortController()
  const waiting = backoff.wait(controller.signal).catch((error: unknown) => error)
  controller.abort()
  expect(isCoded(await waiting, 'ABORTED')).toBe(true)
  expect(clock.pending).toBe(0)
})
