import { collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { beforeEach, expect, test } from 'vitest'
import type { EmulatorEvent } from '../index.ts'
import { createFakeInstance } from '../testing.ts'
import { spareUpstream } from './spare-upstream.ts'
import type { Upstream } from './upstream-port.ts'

const { signal } = new AbortController()
const NOTICE = '/latest/meta-data/spot/instance-action'
let clock = createFakeClock()
let instance = createFakeInstance()
let reports = collectReports<EmulatorEvent>()
let upstream: Upstream

beforeEach(() => {
  clock = createFakeClock()
  instance = createFakeInstance({ clock })
  reports = collectReports<EmulatorEvent>()
  const rate = { perSecond: 10, burst: 20 }
  upstream = spareUpstream(instance.upstream, { clock, report: reports.report, rate })
})
const get = (path: string) => upstream.get(path, { signal })

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
  const first = upstream.get(NOTICE, { signal: leaving.signal }).catch(() => undefined)
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
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, at) => get(`/latest/x/${at}`)))
  expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(20)
  expect(instance.requests).toHaveLength(20)
  const held = reports.events.filter((one) => one.kind === 'upstream' && one.outcome === 'held-back')
  expect(held).toHaveLength(80)
  await clock.advance(1000)
  await Promise.allSettled(Array.from({ length: 100 }, (_, at) => get(`/latest/y/${at}`)))
  expect(instance.requests).toHaveLength(30)
})

test('an immutable fact that is known needs nothing of the bucket', async () => {
  const region = '/latest/meta-data/placement/region'
  await get(region)
  await Promise.allSettled(Array.from({ length: 100 }, (_, at) => get(`/latest/x/${at}`)))
  await clock.advance(10)
  expect((await get(region)).body.toString()).toBe('us-east-1')
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
