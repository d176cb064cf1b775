import { type IpAddress, parseIpAddress } from '@kube2iam-ts/core'
import { collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { beforeEach, expect, test } from 'vitest'
import type { EmulatorEvent } from '../index.ts'
import { createFakeInstance } from '../testing.ts'
import { type SpareUpstream, spareUpstream } from './spare-upstream.ts'

const { signal } = new AbortController()
const POD = parseIpAddress('10.4.0.7')
const OTHER = parseIpAddress('10.4.0.8')
const NOTICE = '/latest/meta-data/spot/instance-action'
let clock = createFakeClock()
let instance = createFakeInstance()
let reports = collectReports<EmulatorEvent>()
let upstream: SpareUpstream

beforeEach(() => {
  clock = createFakeClock()
  instance = createFakeInstance({ clock })
  reports = collectReports<EmulatorEvent>()
  const rate = { perSecond: 10, burst: 20 }
  upstream = spareUpstream(instance.upstream, { clock, report: reports.report, rate })
})
const get = (path: string, peer: IpAddress = POD) => upstream.get(path, { peer, signal })

test('a thousand requests for one path within a second are one request, a 404 included', async () => {
  for (let turn = 0; turn < 500; turn += 1) expect((await get(NOTICE)).status).toBe(404)
  const together = await Promise.all(Array.from({ length: 500 }, () => get(NOTICE)))
  expect(new Set(together.map((one) => one.status))).toEqual(new Set([404]))
  expect(instance.requests).toHaveLength(1)
})

test('a second later the answer is the new one', async () => {
  expect((await get(NOTICE)).status).toBe(404)
  instance.set('meta-data/spot/instance-action', '{"action":"stop"}')
  await clock.advance(999)
  expect((await get(NOTICE)).status).toBe(404)
  await clock.advance(1)
  expect((await get(NOTICE)).body.toString()).toContain('stop')
})

test('who asks while another’s request is under way shares it, also when that one hangs up', async () => {
  instance.faults.slowMs = 300
  const leaving = new AbortController()
  const first = upstream.get(NOTICE, { peer: OTHER, signal: leaving.signal }).catch(() => undefined)
  const second = get(NOTICE)
  leaving.abort()
  await clock.advance(300)
  await first
  expect((await second).status).toBe(404)
  expect(instance.requests).toHaveLength(1)
})

test('a failure is not remembered', async () => {
  instance.faults.down = true
  await expect(get(NOTICE)).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' })
  instance.faults.down = false
  expect((await get(NOTICE)).status).toBe(404)
})

test('paths without end empty one bucket: the rest fail without a packet, and are counted', async () => {
  const crawl = async (name: string) => {
    const asked = Promise.allSettled(Array.from({ length: 100 }, (_, at) => get(`/latest/${name}/${at}`)))
    await clock.advance(500)
    return (await asked).filter((one) => one.status === 'fulfilled').length
  }
  // The burst, and the one whose turn came while it waited.
  expect(await crawl('x')).toBe(21)
  expect(instance.requests).toHaveLength(21)
  const held = reports.events.filter((one) => one.kind === 'upstream' && one.outcome === 'held-back')
  expect(held).toHaveLength(79)
  await clock.advance(1000)
  expect(await crawl('y')).toBe(15)
})

test('a pod’s notice comes through while another asks without end', async () => {
  instance.set('meta-data/spot/instance-action', '{"action":"stop"}')
  let at = 0
  const over = new AbortController()
  const crawl = async (): Promise<void> => {
    while (!over.signal.aborted) {
      at += 1
      await get(`/latest/x/${at}`).catch(() => clock.sleep(20))
    }
  }
  const loops = Array.from({ length: 8 }, crawl)
  for (let second = 0; second < 5; second += 1) {
    for (let step = 0; step < 10; step += 1) await clock.advance(100)
    const notice = get(NOTICE, OTHER)
    await clock.advance(100)
    expect((await notice).body.toString()).toContain('stop')
  }
  over.abort()
  await clock.advance(1000)
  await Promise.all(loops)
})

test('what another pod waits for is nobody else’s to wait for: each has its own turn', async () => {
  instance.set('meta-data/spot/instance-action', '{"action":"stop"}')
  await Promise.allSettled(Array.from({ length: 20 }, (_, at) => get(`/latest/x/${at}`)))
  const behind = [get('/latest/x/a'), get('/latest/x/b'), get('/latest/x/c'), get(NOTICE)]
  const ended = Promise.allSettled(behind)
  const notice = get(NOTICE, OTHER)
  await clock.advance(100)
  expect((await notice).status).toBe(200)
  expect(instance.requests.at(-1)?.target).toBe(NOTICE)
  await clock.advance(100)
  // It was answered meanwhile, which costs no turn.
  expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled'])
})

test('an immutable fact that is known needs no turn', async () => {
  const region = '/latest/meta-data/placement/region'
  await get(region)
  const crawl = Promise.allSettled(Array.from({ length: 100 }, (_, at) => get(`/latest/x/${at}`)))
  await clock.advance(10)
  expect((await get(region)).body.toString()).toBe('us-east-1')
  await clock.advance(500)
  await crawl
})

test('an immutable fact is asked once, however many ask at once', async () => {
  const region = '/latest/meta-data/placement/region'
  const answers = await Promise.all([get(region), get(region, OTHER), get(region)])
  expect(answers.map((one) => one.body.toString())).toEqual(Array(3).fill('us-east-1'))
  expect(instance.requests).toHaveLength(1)
})

test('what was asked is not held for ever', async () => {
  for (let at = 0; at < 300; at += 1) {
    await clock.advance(100)
    await get(`/latest/x/${at}`)
  }
  await clock.advance(1000)
  await get('/latest/x/0')
  expect(instance.requests).toHaveLength(301)
})
