import { systemClock } from '@kube2iam-ts/core'
import { collectReports } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEmulator, createMemoryTokenKeys, type EmulatorEvent } from '../index.ts'
import { createInstanceMetadata, type Listener, listen } from '../node.ts'
import { createFakeCredentialService, createFakeInstance, type FakeInstance } from '../testing.ts'

const ROLE = 'arn:aws:iam::123456789012:role/team/app'
let instance: FakeInstance
let listener: Listener
let reports = collectReports<EmulatorEvent>()
let upstream: ReturnType<typeof createInstanceMetadata>

beforeEach(async () => {
  reports = collectReports<EmulatorEvent>()
  instance = createFakeInstance()
  const { url } = await instance.listen()
  upstream = createInstanceMetadata({ origin: url, clock: systemClock, report: reports.report })
  const { metadata } = createEmulator({
    service: createFakeCredentialService({
      clock: systemClock,
      callers: [{ address: '127.0.0.1', role: ROLE }],
    }),
    upstream,
    clock: systemClock,
    random: Math.random,
    report: reports.report,
    tokenKeys: createMemoryTokenKeys(),
  })
  listener = await listen({
    handler: metadata,
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    report: reports.report,
  })
})

afterEach(async () => {
  await listener.close()
  await upstream.close()
  await instance.close()
})

test('a pod walks from the token to the credentials of its own role', async () => {
  const put = await fetch(`${listener.url}/latest/api/token`, {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' },
  })
  expect(put.status).toBe(200)
  const token = await put.text()
  expect(token).toMatch(/^[\w-]{56}$/)
  const ask = (path: string) =>
    fetch(`${listener.url}/latest/meta-data/${path}`, { headers: { 'x-aws-ec2-metadata-token': token } })
  expect(await (await ask('iam/security-credentials/')).text()).toBe('app')
  const document = await ask('iam/security-credentials/app')
  expect(document.headers.get('server')).toBe('EC2ws')
  expect(Number(document.headers.get('x-aws-ec2-metadata-token-ttl-seconds'))).toBeGreaterThan(21_590)
  expect(Object.keys((await document.json()) as object)).toEqual([
    'Code',
    'LastUpdated',
    'Type',
    'AccessKeyId',
    'SecretAccessKey',
    'Token',
    'Expiration',
  ])
  expect((await ask('iam/security-credentials/other')).status).toBe(404)
  expect(await (await ask('placement/region')).text()).toBe('us-east-1')
  expect((await ask('instance-id')).status).toBe(404)
  expect(instance.requests.map((one) => `${one.method} ${one.target}`)).toEqual([
    'PUT /latest/api/token',
    'GET /latest/meta-data/placement/region',
  ])
  expect(reports.events.filter((one) => one.kind === 'request').map((one) => one.outcome)).toEqual([
    'ok',
    'ok',
    'ok',
    'role-mismatch',
    'ok',
    'not-served',
  ])
})
