import { beforeEach, expect, test } from 'vitest'
import { createFakeInstance, type FakeInstance } from '../testing.ts'
import { IMDS_VERSIONS } from './imds-versions.ts'
import { rememberImmutable } from './remember-immutable.ts'

const { signal } = new AbortController()
let instance: FakeInstance
let ask: ReturnType<typeof rememberImmutable<{ signal: AbortSignal }>>
const get = (path: string) => ask(path, { signal })

beforeEach(() => {
  instance = createFakeInstance()
  ask = rememberImmutable(instance.upstream.get)
})

test('an immutable fact is asked once', async () => {
  const path = '/latest/meta-data/placement/region'
  for (let turn = 0; turn < 4; turn += 1) expect((await get(path)).body.toString()).toBe('us-east-1')
  expect(instance.requests).toHaveLength(1)
})

test('nobody fills the memory by asking for everything under every version', async () => {
  const facts = [
    'ami-id',
    'ami-launch-index',
    'hostname',
    'instance-id',
    'instance-life-cycle',
    'instance-type',
    'local-hostname',
    'local-ipv4',
    'mac',
    'reservation-id',
    'placement/availability-zone',
    'placement/availability-zone-id',
    'placement/group-name',
    'placement/host-id',
    'placement/partition-number',
    'placement/region',
    'services/domain',
    'services/partition',
  ]
  for (const fact of facts) instance.set(`meta-data/${fact}`, 'x')
  const paths = IMDS_VERSIONS.flatMap((version) => facts.map((fact) => `/${version}/meta-data/${fact}`))
  for (const path of [...paths, ...paths]) expect((await get(path)).status).toBe(200)
  expect(instance.requests).toHaveLength(paths.length)
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
