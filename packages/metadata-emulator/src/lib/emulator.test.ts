import { parseIpAddress } from '@kube2iam-ts/core'
import { collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import type { EmulatorEvent, EmulatorRequest, EmulatorSettings } from '../index.ts'
import { createFakeCredentialService, createFakeInstance, type FakeCaller } from '../testing.ts'
import { createEmulator } from './emulator.ts'
import { IMDS_VERSIONS } from './imds-versions.ts'
import { createMemoryTokenKeys } from './memory-token-keys.ts'
import { parseMetadataAllow } from './metadata-allow.ts'

const ADDRESS = '10.0.0.1'
const ROLE = 'arn:aws:iam::123456789012:role/app'
const LIST = '/latest/meta-data/iam/security-credentials/'
const never = new AbortController().signal

function open(
  settings: Partial<EmulatorSettings> = {},
  callers: FakeCaller[] = [{ address: ADDRESS, role: ROLE }],
) {
  const clock = createFakeClock()
  const { events, report } = collectReports<EmulatorEvent>()
  const service = createFakeCredentialService({ clock, callers })
  const instance = createFakeInstance({ clock })
  const emulator = createEmulator({
    service,
    upstream: instance.upstream,
    clock,
    random: Math.random,
    report,
    tokenKeys: createMemoryTokenKeys(),
    settings,
  })
  const ask = (target: string, more: Partial<EmulatorRequest> = {}) =>
    emulator.metadata({
      method: 'GET',
      target,
      peer: parseIpAddress(ADDRESS),
      headers: {},
      signal: never,
      ...more,
    })
  return { clock, events, service, instance, emulator, ask }
}
const requests = (events: readonly EmulatorEvent[]) => events.filter((one) => one.kind === 'request')

test('each request is told once: route, outcome, status, duration and pod', async () => {
  const { clock, ask, events, service } = open()
  await ask(LIST)
  await ask(`${LIST}other`)
  service.place({ address: ADDRESS, role: ROLE, delayMs: 300 })
  const slow = ask(`${LIST}app`)
  await clock.advance(300)
  await slow
  expect(
    requests(events).map((one) => [one.route, one.outcome, one.status, one.durationMs, one.pod]),
  ).toEqual([
    ['role-list', 'ok', 200, 0, 'default/web-0'],
    ['role-document', 'role-mismatch', 404, 0, 'default/web-0'],
    ['role-document', 'ok', 200, 300, 'default/web-0'],
  ])
})

test('events carry no key, no token and no target', async () => {
  const { ask, events, service } = open()
  const { headers, body } = await ask('/latest/api/token', { method: 'PUT', headers: { tokenTtl: '60' } })
  expect(headers).toContain('X-Aws-Ec2-Metadata-Token-Ttl-Seconds')
  await ask(`${LIST}app`, { headers: { token: body.toString() } })
  await ask('/latest/who-knows-what', { headers: { token: body.toString() } })
  const told = JSON.stringify(events)
  const { accessKeyId, secretAccessKey, sessionToken } = service.credentialsOf(ROLE)
  for (const secret of [
    body.toString(),
    accessKeyId,
    secretAccessKey.reveal(),
    sessionToken.reveal(),
    'who-knows',
  ]) {
    expect(told).not.toContain(secret)
  }
})

test('a hold ends at its deadline by the clock, and not by polling', async () => {
  const { clock, ask, events } = open({}, [])
  const answer = ask(LIST)
  await clock.waiting()
  expect(clock.pending).toBe(1)
  await clock.advance(900)
  expect((await answer).status).toBe(503)
  expect(requests(events)[0]).toMatchObject({ outcome: 'pod-unknown', durationMs: 900, pod: undefined })
  expect(clock.pending).toBe(0)
})

test('a hold ends when the client hangs up', async () => {
  const { clock, ask } = open({}, [])
  const client = new AbortController()
  const answer = ask(LIST, { signal: client.signal })
  await clock.waiting()
  client.abort()
  await answer
  expect(clock.now()).toBe(createFakeClock().now())
})

test('what nobody can have is refused at once, also for an address that is not known yet', async () => {
  const { ask } = open({}, [])
  for (const target of ['/latest/meta-data/iam/unknown', '/latest//user-data']) {
    expect((await ask(target)).status).toBe(403)
  }
  expect((await ask(LIST, { headers: { token: 'INVALID' } })).status).toBe(401)
  expect((await ask(LIST, { method: 'POST' })).status).toBe(405)
})

test('a bug is a bare 500, told with its error', async () => {
  const { ask, events, service } = open()
  const error = new Error('arn:aws:iam::123456789012:role/secret-of-the-house')
  Object.assign(service, { roleFor: () => Promise.reject(error) })
  const reply = await ask(LIST)
  expect([reply.status, reply.body.length]).toEqual([500, 0])
  expect(events[0]).toEqual({ kind: 'bug', error })
  expect(requests(events)[0]).toMatchObject({ outcome: 'bug', status: 500 })
})

test('a container client that meets one gets the words of none', async () => {
  const { emulator, service } = open()
  Object.assign(service, { credentialsForToken: () => Promise.reject(new Error('inside')) })
  const headers = { host: '169.254.170.23', authorization: 'jwt' }
  const peer = parseIpAddress(ADDRESS)
  const reply = await emulator.container({
    method: 'GET',
    target: '/v1/credentials',
    peer,
    headers,
    signal: never,
  })
  expect(reply.status).toBe(500)
  expect(JSON.parse(reply.body.toString())).toEqual({
    code: 'InternalServerException',
    message: 'internal error',
  })
})

test('credentials that are renewed are served from then on', async () => {
  const { ask, service } = open()
  const first = (await ask(`${LIST}app`)).body.toString()
  service.renew(ROLE)
  const second = (await ask(`${LIST}app`)).body.toString()
  expect(JSON.parse(second)).not.toEqual(JSON.parse(first))
  expect(JSON.parse(second)).toMatchObject({ AccessKeyId: service.credentialsOf(ROLE).accessKeyId })
})

test('a node whose clock is an hour ahead serves what its service says is alive', async () => {
  const { ask, service, clock, emulator } = open({}, [{ address: ADDRESS, role: ROLE, token: 'jwt' }])
  const behind = new Date(clock.now() - 1000)
  Object.assign(service.credentialsOf(ROLE), { expiration: behind })
  const document = await ask(`${LIST}app`)
  expect(document.status).toBe(200)
  expect(JSON.parse(document.body.toString()).Expiration).toBe(`${behind.toISOString().slice(0, 19)}Z`)
  const headers = { host: '169.254.170.23', authorization: 'jwt' }
  const container = { method: 'GET', target: '/v1/credentials', peer: parseIpAddress(ADDRESS), headers }
  expect((await emulator.container({ ...container, signal: never })).status).toBe(200)
})

test('the index of kube2iam’s manner is the instance’s without the node’s credentials', async () => {
  const { parseMetadataAllow } = await import('./metadata-allow.ts')
  const { ask } = open({ allow: parseMetadataAllow(['kube2iam']) })
  const names = (await ask('/latest/meta-data/')).body.toString().split('\n')
  expect(names).toContain('instance-id')
  expect(names).toContain('iam/')
  expect(names).not.toContain('identity-credentials/')
  expect((await ask('/latest/user-data')).status).toBe(200)
})

test('a pod that loops over the node’s metadata does not reach the real service each time', async () => {
  const { ask, instance, clock } = open({ rate: { perSecond: 0, burst: 0 } })
  const path = '/latest/meta-data/spot/instance-action'
  for (let turn = 0; turn < 200; turn += 1) expect((await ask(path)).status).toBe(404)
  expect(instance.requests).toHaveLength(1)
  await clock.advance(1000)
  await ask(path)
  expect(instance.requests).toHaveLength(2)
})

test('a pod that asks for everything under every version keeps no other from its notice', async () => {
  const other = parseIpAddress('10.0.0.2')
  const { ask, clock, instance } = open({ rate: { perSecond: 0, burst: 0 } }, [
    { address: ADDRESS, role: ROLE },
    { address: other, name: 'other' },
  ])
  instance.set('meta-data/spot/instance-action', '{"action":"stop"}')
  const paths = ['spot/instance-action', 'spot/termination-time', 'events/recommendations/rebalance'].flatMap(
    (path) =>
      IMDS_VERSIONS.filter((version) => version !== 'latest').map(
        (version) => `/${version}/meta-data/${path}`,
      ),
  )
  let at = 0
  const over = new AbortController()
  const loops = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      at += 1
      await ask(paths[at % paths.length] ?? '')
      await clock.sleep(5)
    }
  })
  for (let second = 0; second < 3; second += 1) {
    for (let step = 0; step < 50; step += 1) await clock.advance(20)
    const notice = ask('/latest/meta-data/spot/instance-action', { peer: other })
    await clock.advance(50)
    expect((await notice).status).toBe(200)
  }
  over.abort()
  await clock.advance(1000)
  await Promise.all(loops)
  // All turns were taken: the burst's, and those of three seconds and a little.
  expect(instance.requests.length).toBeGreaterThan(240)
  expect(instance.requests.length).toBeLessThan(300)
})

test('beyond what the real service may be asked, a pod gets an empty 503', async () => {
  const { ask, clock, events } = open({
    allow: parseMetadataAllow(['kube2iam']),
    upstreamRate: { perSecond: 1, burst: 2 },
  })
  const asked = Promise.all(['a', 'b', 'c'].map((name) => ask(`/latest/meta-data/${name}`)))
  await clock.advance(400)
  const replies = await asked
  expect(replies.map((one) => one.status)).toEqual([404, 404, 503])
  expect(replies[2]?.body).toHaveLength(0)
  expect(events.some((one) => one.kind === 'upstream' && one.outcome === 'held-back')).toBe(true)
})
