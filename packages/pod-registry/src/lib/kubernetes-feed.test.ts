import type { PodIdentity } from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFakeApiServer, type FakeApiServer, type Manifest } from '../testing.ts'
import { createPodFeed, type PodFeedOptions } from './cluster-feeds.ts'
import type { FeedEvent } from './feed.ts'

// The real feed against the fake API server without a socket, on a clock that is moved: minutes pass in milliseconds.

const pod = (name: string, ip: string, node = 'node-1'): Manifest => ({
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName: node, containers: [{ name: 'main' }] },
  status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
})

let clock = createFakeClock()
let server: FakeApiServer
let stop: AbortController
let done: Promise<void>

beforeEach(() => {
  clock = createFakeClock()
  server = createFakeApiServer({ clock })
  stop = new AbortController()
})

afterEach(async () => {
  stop.abort()
  await clock.advance(0)
  await done
  await server.close()
  expect(server.watches, 'every watch is ended').toBe(0)
  expect(clock.pending, 'no timer is left').toBe(0)
})

/** Follows the feed and keeps what it says, in short: `snapshot a b`, `upsert a`, `stale FEED_EXPIRED`. */
async function follow(options: Partial<PodFeedOptions> = {}): Promise<string[]> {
  const said: string[] = []
  const feed = createPodFeed({
    connection: server.connection(),
    clock,
    random: createSeededRandom(1),
    annotationKeys: [],
    node: 'node-1',
    ...options,
  })
  done = (async () => {
    for await (const event of feed.events(stop.signal)) said.push(short(event))
  })()
  await clock.advance(0)
  return said
}

function short(event: FeedEvent<PodIdentity>): string {
  if (event.kind === 'snapshot') return ['snapshot', ...event.items.map(({ name }) => name)].join(' ')
  if (event.kind === 'upsert' || event.kind === 'delete') return `${event.kind} ${event.item.name}`
  return event.kind === 'stale' ? `stale ${event.code}` : event.kind
}

const calls = (kind: 'list' | 'watch'): URLSearchParams[] =>
  server.requests
    .filter(
      ({ path }) => path.startsWith('/api/v1/pods') && path.includes('watch=true') === (kind === 'watch'),
    )
    .map(({ path }) => new URL(path, 'http://fake').searchParams)

test('only the pods of the node are listed and watched', async () => {
  server.apply(pod('mine', '10.0.0.1'))
  server.apply(pod('theirs', '10.0.1.1', 'node-2'))
  const said = await follow()
  server.apply(pod('also-mine', '10.0.0.2'))
  server.apply(pod('also-theirs', '10.0.1.2', 'node-2'))
  server.delete('Pod', 'default', 'mine')
  await clock.advance(0)
  expect(said).toEqual(['snapshot mine', 'upsert also-mine', 'delete mine'])
  expect(calls('watch')[0]?.get('fieldSelector')).toBe('spec.nodeName=node-1')
})

test('the first list is read in pages of one moment', async () => {
  for (let index = 0; index < 7; index += 1) server.apply(pod(`p${index}`, `10.0.0.${index}`))
  const said = await follow({ pageSize: 3 })
  expect(said).toEqual(['snapshot p0 p1 p2 p3 p4 p5 p6'])
  expect(calls('list').map((query) => query.get('limit'))).toEqual(['3', '3', '3'])
})

test('bookmarks are asked for, and a watch that ends resumes from the last of them without a word', async () => {
  const said = await follow()
  server.apply({ kind: 'Node', metadata: { name: 'other' } })
  await clock.advance(61_000)
  expect(said).toEqual(['snapshot', 'progress'])
  await clock.advance(600_000)
  expect(said.filter((line) => line !== 'progress')).toEqual(['snapshot'])
  const [first, second] = calls('watch')
  expect(first?.get('allowWatchBookmarks')).toBe('true')
  const seconds = Number(first?.get('timeoutSeconds'))
  expect(seconds).toBeGreaterThanOrEqual(300)
  expect(seconds).toBeLessThanOrEqual(360)
  expect(second?.get('resourceVersion')).toBe(server.resourceVersion)
  expect(calls('list')).toHaveLength(1)
})

describe.each(['http', 'stream'] as const)('a version that is too old, refused over %s', (form) => {
  test('makes it list again, and what vanished meanwhile is gone', async () => {
    server.apply(pod('a', '10.0.0.1'))
    server.apply(pod('b', '10.0.0.2'))
    const said = await follow()
    server.faults.goneForm = form
    server.faults.outage = true
    server.faults.dropWatches()
    await clock.advance(100)
    server.delete('Pod', 'default', 'a')
    server.apply(pod('c', '10.0.0.3'))
    server.faults.compact()
    server.faults.outage = false
    await clock.advance(10_000)
    expect(said[0]).toBe('snapshot a b')
    expect(said).toContain('stale FEED_EXPIRED')
    expect(said.at(-1)).toBe('snapshot b c')
  })
})

test('an API server that comes back after an outage without its history is listed at once', async () => {
  const said = await follow()
  server.faults.outage = true
  server.faults.dropWatches()
  while (calls('watch').length < 5) await clock.advance(100)
  server.apply(pod('a', '10.0.0.1'))
  server.faults.compact()
  server.faults.outage = false
  while (calls('watch').length < 6) await clock.advance(100)
  expect(said.at(-1)).toBe('stale FEED_EXPIRED')
  await clock.advance(500)
  expect(said.at(-1)).toBe('snapshot a')
})

test('410 inside a watch that the server leaves open ends it at once (kubernetes-client/javascript#596)', async () => {
  const said = await follow()
  server.faults.expireWatches()
  await clock.advance(1000)
  expect(said.slice(0, 3)).toEqual(['snapshot', 'stale FEED_EXPIRED', 'snapshot'])
})

test('a lost connection is resumed where it was, and what was missed follows', async () => {
  server.apply(pod('a', '10.0.0.1'))
  const said = await follow()
  server.faults.outage = true
  server.faults.dropWatches()
  await clock.advance(2000)
  server.apply(pod('b', '10.0.0.2'))
  server.faults.outage = false
  await clock.advance(30_000)
  expect(said.filter((line) => !line.startsWith('stale'))).toEqual(['snapshot a', 'resumed', 'upsert b'])
  expect(calls('list')).toHaveLength(1)
})

test('a version that keeps failing is given up for a new list', async () => {
  const said = await follow()
  server.faults.fail({ status: 500, on: 'watch', count: 8 })
  server.faults.dropWatches()
  await clock.advance(120_000)
  expect(said.filter((line) => line === 'snapshot').length).toBeGreaterThan(1)
})

test('429 is waited out as long as the server says, and not longer than the back-off adds', async () => {
  server.faults.fail({ status: 429, on: 'list', count: 1, retryAfterSeconds: 17 })
  const said = await follow()
  expect(said).toEqual(['stale FEED_LIST_FAILED'])
  await clock.advance(16_999)
  expect(calls('list')).toHaveLength(1)
  await clock.advance(502)
  expect(said).toEqual(['stale FEED_LIST_FAILED', 'snapshot'])
})

test('failures are retried with growing, jittered waits', async () => {
  server.faults.fail({ status: 503, on: 'list', count: 9 })
  const said = await follow()
  await clock.advance(300_000)
  expect(said.at(-1)).toBe('progress')
  const times = server.requests.filter(({ path }) => !path.includes('watch=true')).map(({ at }) => at)
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  expect(waits).toHaveLength(9)
  expect(waits.every((wait, index) => wait <= 500 * 2 ** index && wait <= 30_000)).toBe(true)
  expect(new Set(waits).size).toBeGreaterThan(6)
})

test('a watch that stalls silently is taken for dead after 90 s, and a list says what it kept back (kubernetes-client/javascript#958)', async () => {
  const said = await follow()
  server.faults.stallWatches = true
  server.apply(pod('late', '10.0.0.9'))
  await clock.advance(89_000)
  expect(said).toEqual(['snapshot'])
  await clock.advance(2000)
  // The new watch is silent as well: what was missed is known all the same.
  expect(said).toEqual(['snapshot', 'stale FEED_WATCH_FAILED', 'snapshot late'])
  expect([calls('watch').length, server.watches]).toEqual([2, 1])
})

test('a list that stops in the middle is tried again', async () => {
  server.faults.slowListMs = 60_000
  const said = await follow()
  await clock.advance(30_001)
  expect(said).toEqual(['stale FEED_LIST_FAILED'])
  server.faults.slowListMs = 0
  await clock.advance(10_000)
  expect(said.at(-1)).toBe('snapshot')
})

test('pages that expire under way are asked for in one answer (as client-go)', async () => {
  for (let index = 0; index < 4; index += 1) server.apply(pod(`p${index}`, `10.0.0.${index}`))
  server.faults.slowListMs = 1000
  const said = await follow({ pageSize: 2 })
  await clock.advance(1500)
  server.apply(pod('p4', '10.0.0.4'))
  server.faults.compact()
  await clock.advance(10_000)
  expect(said).toEqual(['stale FEED_EXPIRED', 'snapshot p0 p1 p2 p3 p4'])
  expect(calls('list').at(-1)?.get('limit')).toBe(null)
})

test('an event that comes twice is told once', async () => {
  const said = await follow()
  server.faults.duplicateEvents = true
  server.apply(pod('a', '10.0.0.1'))
  server.delete('Pod', 'default', 'a')
  await clock.advance(100)
  expect(said).toEqual(['snapshot', 'upsert a', 'delete a'])
})

test('events out of order end the watch: only a list says how things are', async () => {
  server.apply(pod('a', '10.0.0.1'))
  const said = await follow()
  server.faults.reorderEvents = true
  server.delete('Pod', 'default', 'a')
  server.apply(pod('b', '10.0.0.1'))
  await clock.advance(5000)
  expect(said).toEqual(['snapshot a', 'upsert b', 'stale FEED_EXPIRED', 'snapshot b'])
})

test('an event that comes after a bookmark of its version was overtaken: a list says what else was', async () => {
  server.apply(pod('a', '10.0.0.1'))
  const connection = server.connection()
  const lines = [
    { type: 'BOOKMARK', object: { metadata: { resourceVersion: '900' } } },
    { type: 'ADDED', object: { ...pod('b', '10.0.0.2'), metadata: { name: 'b', resourceVersion: '900' } } },
  ]
  const overtaken: typeof connection = {
    ...connection,
    async request(request) {
      if (!request.path.includes('watch=true') || lines.length === 0) return connection.request(request)
      const text = lines.splice(0).map((line) => `${JSON.stringify(line)}\n`)
      return {
        status: 200,
        headers: {},
        body: (async function* () {
          yield Buffer.from(text.join(''))
        })(),
      }
    },
  }
  const said = await follow({ connection: overtaken })
  await clock.advance(5000)
  expect(said).toEqual(['snapshot a', 'progress', 'stale FEED_EXPIRED', 'snapshot a'])
})

describe('where lists are answered and watches are not, the waits grow all the same', () => {
  const inTenMinutes = async () => {
    await clock.advance(600_000)
    return { lists: calls('list').length, watches: calls('watch').length }
  }

  test.each([403, 410, 429, 500] as const)('watches that are %i', async (status) => {
    server.faults.fail({ status, on: 'watch' })
    await follow()
    const { lists, watches } = await inTenMinutes()
    // 30 seconds at most to a wait, 15 on average, once the first few are over.
    expect(watches).toBeGreaterThan(20)
    expect(watches).toBeLessThan(80)
    expect(lists).toBeLessThan(status === 410 ? 80 : 20)
    expect(lists).toBeGreaterThan(2)
  })

  test('watches that are out of order', async () => {
    server.faults.reorderEvents = true
    await follow()
    for (let second = 0; second < 600; second += 1) {
      server.apply(pod('a', '10.0.0.1'))
      server.apply(pod('b', '10.0.0.2'))
      await clock.advance(1000)
    }
    expect(calls('list').length).toBeLessThan(80)
  })

  test.each([
    ['has said something', 1],
    ['has stood for a minute', 1],
    ['has done neither', 0],
  ])('and are short again after a watch that %s', async (what, watches) => {
    server.faults.noBookmarks = true
    server.faults.fail({ status: 500, on: 'watch', count: 10 })
    await follow()
    while (server.watches === 0) await clock.advance(1000)
    if (what === 'has said something') server.apply(pod('a', '10.0.0.1'))
    await clock.advance(what === 'has stood for a minute' ? 60_000 : 0)
    const before = calls('watch').length
    server.faults.dropWatches()
    await clock.advance(501)
    expect(calls('watch').length - before).toBe(watches)
  })
})

test('a refused token is told as forbidden and tried again', async () => {
  server.faults.expiredToken = true
  const said = await follow()
  expect(said).toEqual(['stale FEED_FORBIDDEN'])
  server.faults.expiredToken = false
  await clock.advance(1000)
  expect(said).toEqual(['stale FEED_FORBIDDEN', 'snapshot'])
})

test('it lists again from time to time, where it is told to', async () => {
  const said = await follow({ relistEveryMs: 1_800_000 })
  await clock.advance(3_700_000)
  expect(said.filter((line) => line === 'snapshot').length).toBeGreaterThanOrEqual(2)
  expect(said.filter((line) => line.startsWith('stale'))).toEqual([])
})

test('a server that ends every watch at once is not asked in a hot loop', async () => {
  const connection = server.connection()
  let watches = 0
  const abrupt: typeof connection = {
    ...connection,
    async request(request) {
      if (!request.path.includes('watch=true')) return connection.request(request)
      watches += 1
      return { status: 200, headers: {}, body: (async function* () {})() }
    },
  }
  const said = await follow({ connection: abrupt })
  await clock.advance(60_000)
  expect(watches).toBeGreaterThan(2)
  expect(watches).toBeLessThan(40)
  expect(said.filter((line) => line.startsWith('stale'))).toEqual([])
})
