import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCoded } from './errors.ts'
import { createFakeClock } from './fake-clock.ts'

test('stands still until it is moved', async () => {
  const clock = createFakeClock(new Date(1000))
  let fired = 0
  clock.after(10, () => {
    fired += 1
  })
  expect(clock.now()).toBe(1000)
  await clock.advance(9)
  expect([clock.now(), fired]).toEqual([1009, 0])
  await clock.advance(1)
  expect([clock.now(), fired]).toEqual([1010, 1])
})

test('fires in order of time, and in order of setting within one instant', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ ms: fc.nat(20), cancel: fc.boolean() })), async (wishes) => {
      const clock = createFakeClock(new Date(0), { settle: 'instant' })
      const fired: number[] = []
      const cancels = wishes.map(({ ms }, index) => clock.after(ms, () => fired.push(index)))
      wishes.forEach(({ cancel }, index) => cancel && cancels[index]?.())
      const kept = wishes.flatMap(({ ms, cancel }, index) => (cancel ? [] : [{ ms, index }]))
      expect(clock.pending).toBe(kept.length)
      expect(clock.nextAt).toBe(kept.length === 0 ? undefined : Math.min(...kept.map(({ ms }) => ms)))
      await clock.advance(20)
      expect(fired).toEqual(kept.sort((a, b) => a.ms - b.ms || a.index - b.index).map(({ index }) => index))
      expect(clock.pending).toBe(0)
    }),
  )
})

test('cancelling twice, or after firing, changes nothing', async () => {
  const clock = createFakeClock()
  const cancel = clock.after(1, () => {})
  clock.after(5, () => {})
  await clock.advance(1)
  cancel()
  cancel()
  expect(clock.pending).toBe(1)
  const other = clock.after(5, () => {})
  other()
  other()
  expect(clock.pending).toBe(1)
})

test('forgets cancelled timers when they are the most', async () => {
  const clock = createFakeClock(undefined, { settle: 'instant' })
  const fired: number[] = []
  const cancels = Array.from({ length: 1000 }, (_, index) =>
    clock.after(1000 - index, () => fired.push(index)),
  )
  cancels.forEach((cancel, index) => index % 10 !== 0 && cancel())
  expect(clock.pending).toBe(100)
  await clock.advance(1000)
  expect(fired).toEqual(Array.from({ length: 100 }, (_, index) => 990 - index * 10))
})

test('what a timer wakes runs before the next timer, and sees the time of its own', async () => {
  const clock = createFakeClock(new Date(0))
  const seen: string[] = []
  const sleeper = async (name: string, ms: number) => {
    await clock.sleep(ms)
    await Promise.resolve()
    seen.push(`${name}@${clock.now()}`)
    await clock.sleep(5)
    seen.push(`${name}@${clock.now()}`)
  }
  void sleeper('a', 1)
  void sleeper('b', 1)
  void sleeper('c', 4)
  await clock.advance(100)
  expect(seen).toEqual(['a@1', 'b@1', 'c@4', 'a@6', 'b@6', 'c@9'])
})

test('settling per instant lets the timers of one instant fire together', async () => {
  const order = async (settle: 'timer' | 'instant') => {
    const clock = createFakeClock(new Date(0), { settle })
    const seen: string[] = []
    for (const name of ['a', 'b', 'c']) {
      clock.after(name === 'c' ? 2 : 1, () => {
        seen.push(`${name} fires`)
        void Promise.resolve().then(() => seen.push(`${name} wakes`))
      })
    }
    await clock.advance(2)
    return seen
  }
  expect(await order('timer')).toEqual(['a fires', 'a wakes', 'b fires', 'b wakes', 'c fires', 'c wakes'])
  expect(await order('instant')).toEqual(['a fires', 'b fires', 'a wakes', 'b wakes', 'c fires', 'c wakes'])
})

test.each([0, -5, Number.NaN])('a timer of %d ms is due at once', async (ms) => {
  const clock = createFakeClock(new Date(50))
  let at: number | undefined
  clock.after(ms, () => {
    at = clock.now()
  })
  await clock.advance(0)
  expect(at).toBe(50)
})

test('timers set by a timer fire within the same advance', async () => {
  const clock = createFakeClock(new Date(0))
  let ticks = 0
  const tick = () => {
    ticks += 1
    clock.after(10, tick)
  }
  clock.after(10, tick)
  await clock.advance(100)
  expect([ticks, clock.pending]).toEqual([10, 1])
})

test('a jump moves the wall clock, and neither timers nor durations', async () => {
  const clock = createFakeClock(new Date(0))
  let firedAt: number | undefined
  clock.after(10, () => {
    firedAt = clock.now()
  })
  clock.jump(3_600_000)
  expect([clock.now(), clock.monotonic()]).toEqual([3_600_000, 0])
  await clock.advance(10)
  expect([firedAt, clock.monotonic()]).toEqual([3_600_010, 10])
})

test('tells when the code under test is waiting', async () => {
  const clock = createFakeClock()
  const waiting = clock.waiting(2)
  let known = false
  void waiting.then(() => {
    known = true
  })
  clock.after(1, () => {})
  await clock.advance(0)
  expect(known).toBe(false)
  clock.after(1, () => {})
  await waiting
  await clock.waiting(2)
})

test('an advance that nobody wants any longer ends before the next timer', async () => {
  const left = new AbortController()
  const clock = createFakeClock(new Date(0), { settle: 'instant', signal: left.signal })
  const fired: number[] = []
  for (const at of [10, 20, 30]) {
    clock.after(at, () => {
      fired.push(clock.now())
      if (at === 20) setImmediate(() => left.abort(new Error('Ctrl-C')))
    })
  }
  await expect(clock.advance(1000)).rejects.toThrow('Ctrl-C')
  expect({ fired, now: clock.now() }).toEqual({ fired: [10, 20], now: 20 })
  await expect(clock.advance(1000)).rejects.toThrow('Ctrl-C')
  expect(fired).toEqual([10, 20])
})

test('a sleep ends with the signal, and leaves no timer', async () => {
  const clock = createFakeClock()
  const controller = new AbortController()
  const sleeping = clock.sleep(1000, controller.signal).catch((error: unknown) => error)
  controller.abort(new Error('enough'))
  const error = await sleeping
  expect(isCoded(error, 'ABORTED')).toBe(true)
  expect(clock.pending).toBe(0)
  const late = await clock.sleep(1, controller.signal).catch((reason: unknown) => reason)
  expect(isCoded(late, 'ABORTED')).toBe(true)
  expect(clock.pending).toBe(0)
})

test('holds and fires two hundred thousand timers', async () => {
  const clock = createFakeClock(new Date(0), { settle: 'instant' })
  let fired = 0
  let last = 0
  let inOrder = true
  for (let index = 0; index < 200_000; index += 1) {
    clock.after((index * 7919) % 5003, () => {
      fired += 1
      inOrder &&= clock.now() >= last
      last = clock.now()
    })
  }
  await clock.advance(5003)
  expect([fired, inOrder, clock.pending]).toEqual([200_000, true, 0])
})
