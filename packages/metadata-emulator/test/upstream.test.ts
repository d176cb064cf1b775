import { collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Upstream, UpstreamEvent } from '../src/index.ts'
import { createInstanceMetadata } from '../src/node.ts'
import { createFakeInstance, type FakeInstance } from '../src/testing.ts'
import { upstreamContract } from './upstream.contract.ts'

upstreamContract('fake instance in process', async () => {
  const clock = createFakeClock()
  const instance = createFakeInstance({ clock })
  return { clock, instance, upstream: instance.upstream, close: () => instance.close() }
})

upstreamContract('over HTTP', async () => {
  const clock = createFakeClock()
  const instance = createFakeInstance({ clock })
  const { url } = await instance.listen()
  const upstream = createInstanceMetadata({ origin: url, clock, report: () => {} })
  return {
    clock,
    instance,
    upstream,
    async close() {
      await upstream.close()
      await instance.close()
    },
  }
})

const path = '/latest/meta-data/placement/region'
const { signal } = new AbortController()
const clock = createFakeClock()
let instance: FakeInstance
let upstream: Upstream
let reports = collectReports<UpstreamEvent>()

beforeEach(async () => {
  instance = createFakeInstance({ clock, tokens: 'required' })
  const { url } = await instance.listen()
  reports = collectReports()
  upstream = createInstanceMetadata({ origin: url, clock, report: reports.report })
})
afterEach(async () => {
  await upstream.close()
  await instance.close()
})
const asked = () => instance.requests.map((one) => `${one.method} ${one.status}`)

test('one token serves many requests, and its own headers are all that is sent', async () => {
  await upstream.get(path, { signal })
  await upstream.get(path, { signal })
  expect(asked()).toEqual(['PUT 200', 'GET 200', 'GET 200'])
  expect(Object.keys(instance.requests[1]!.headers).sort()).toEqual([
    'connection',
    'host',
    'x-aws-ec2-metadata-token',
  ])
})

test('concurrent first requests share one token', async () => {
  await Promise.all([1, 2, 3].map(() => upstream.get(path, { signal })))
  expect(asked().filter((one) => one.startsWith('PUT'))).toHaveLength(1)
})

test('a token that the service forgot is replaced, unseen by the caller (row 44)', async () => {
  await upstream.get(path, { signal })
  instance.faults.unauthorized = 1
  expect((await upstream.get(path, { signal })).status).toBe(200)
  expect(asked()).toEqual(['PUT 200', 'GET 200', 'GET 401', 'PUT 200', 'GET 200'])
})

test('a service that goes on refusing is a failure, and no 401', async () => {
  instance.faults.unauthorized = 9
  await expect(upstream.get(path, { signal })).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' })
  expect(asked()).toEqual(['PUT 200', 'GET 401', 'PUT 200', 'GET 401'])
})

test('a token is renewed before it expires', async () => {
  await upstream.get(path, { signal })
  await clock.advance(21_500_000)
  await upstream.get(path, { signal })
  expect(asked()).toEqual(['PUT 200', 'GET 200', 'PUT 200', 'GET 200'])
})

test('each call is told: outcome, status and duration', async () => {
  await upstream.get(path, { signal })
  await upstream.get('/latest/meta-data/nothing', { signal })
  instance.faults.down = true
  await upstream.get(path, { signal }).catch(() => {})
  expect(reports.events.map((one) => [one.outcome, one.status])).toEqual([
    ['ok', 200],
    ['not-found', 404],
    ['unavailable', undefined],
  ])
})
