import { beforeEach, expect, test } from 'vitest'
import { createFakeInstance, type FakeInstance } from '../testing.ts'
import { rememberImmutable } from './remember-immutable.ts'
import type { Upstream } from './upstream-port.ts'

const { signal } = new AbortController()
let instance: FakeInstance
let upstream: Upstream
const get = (path: string) => upstream.get(path, { signal })

beforeEach(() => {
  instance = createFakeInstance()
  upstream = rememberImmutable(instance.upstream)
})

test('an immutable fact is asked once, however many ask at once or later', async () => {
  const path = '/latest/meta-data/placement/region'
  const answers = await Promise.all([get(path), get(path), get(path)])
  answers.push(await get(path))
  expect(answers.map((one) => one.body.toString())).toEqual(Array(4).fill('us-east-1'))
  expect(instance.requests).toHaveLength(1)
})

test('what may change is asked each time', async () => {
  instance.set('meta-data/spot/instance-action', '{"action":"stop"}')
  await get('/latest/meta-data/spot/instance-action')
  instance.set('meta-data/spot/instance-action', undefined)
  expect((await get('/latest/meta-data/spot/instance-action')).status).toBe(404)
})

test('a failure and a 404 are not remembered', async () => {
  instance.faults.down = true
  await expect(get('/latest/meta-data/instance-id')).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' })
  instance.faults.down = false
  instance.set('meta-data/instance-id', undefined)
  expect((await get('/latest/meta-data/instance-id')).status).toBe(404)
  instance.set('meta-data/instance-id', 'i-1')
  expect((await get('/latest/meta-data/instance-id')).body.toString()).toBe('i-1')
})
