import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { type CallTicket, createCallQueue, type Urgency } from './call-queue.ts'
import { createTokenBucket } from './token-bucket.ts'

function setUp({ concurrency = 1, ratePerSecond = 1_000, burst = 1_000, capacity = 100 } = {}) {
  const clock = createFakeClock()
  const bucket = createTokenBucket({ clock, ratePerSecond, burst })
  const queue = createCallQueue({ clock, bucket, concurrency, capacity })
  const started: string[] = []
  const tickets = new Map<string, CallTicket>()
  const enter = (name: string, urgency: Urgency, lane = 'lane') => {
    const ticket = queue.enter(urgency, lane)
    if (ticket === undefined) return false
    tickets.set(name, ticket)
    void ticket.admitted.then(() => started.push(name))
    return true
  }
  /** Ends calls as they start until nothing starts any more. */
  const runAll = async () => {
    for (let done = 0; ; done += 1) {
      await clock.advance(0)
      const name = started[done]
      if (name === undefined) return
      tickets.get(name)?.done()
    }
  }
  return { clock, queue, enter, runAll, started, tickets }
}

test('requests go before renewals, renewals before prefetches, each in the order of their coming', async () => {
  const { enter, runAll, started } = setUp()
  enter('running', 'prefetch')
  for (const urgency of ['prefetch', 'renewal', 'request'] as const) {
    enter(`${urgency} 1`, urgency)
    enter(`${urgency} 2`, urgency)
  }
  await runAll()
  expect(started).toEqual([
    'running',
    'request 1',
    'request 2',
    'renewal 1',
    'renewal 2',
    'prefetch 1',
    'prefetch 2',
  ])
})

test('a prefetch whose pod begins to ask goes with the requests, and none goes back', async () => {
  const { enter, runAll, started, tickets } = setUp()
  enter('running', 'request')
  enter('first', 'prefetch')
  enter('second', 'prefetch')
  tickets.get('second')?.raise('request')
  tickets.get('second')?.raise('prefetch')
  await runAll()
  expect(started).toEqual(['running', 'second', 'first'])
})

test('lanes take turns', async () => {
  const { enter, runAll, started } = setUp()
  enter('a1', 'request', 'a')
  for (const name of ['a2', 'a3', 'b1', 'b2', 'c1']) enter(name, 'request', name.charAt(0))
  await runAll()
  expect(started).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
})

test('no more run at once than allowed, and none before the budget has a call for it', async () => {
  const { clock, enter, started } = setUp({ concurrency: 2, ratePerSecond: 1, burst: 1 })
  for (const name of ['1', '2', '3']) enter(name, 'request')
  await clock.advance(0)
  expect(started).toEqual(['1'])
  await clock.advance(1_000)
  expect(started).toEqual(['1', '2'])
  await clock.advance(10_000)
  expect(started).toEqual(['1', '2'])
})

test('what is not wanted any more leaves its place', async () => {
  const { enter, runAll, started, tickets } = setUp({ capacity: 2 })
  enter('running', 'request')
  expect([enter('one', 'request'), enter('two', 'request'), enter('three', 'request')]).toEqual([
    true,
    true,
    false,
  ])
  tickets.get('one')?.done()
  expect(enter('four', 'request')).toBe(true)
  await runAll()
  expect(started).toEqual(['running', 'two', 'four'])
})

test('closing leaves no timer', () => {
  const { clock, queue, enter } = setUp({ ratePerSecond: 1, burst: 1, concurrency: 5 })
  enter('1', 'request')
  enter('2', 'request')
  expect(clock.pending).toBe(1)
  queue.close()
  expect(clock.pending).toBe(0)
})
