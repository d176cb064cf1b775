import { request } from 'node:http'
import { type IpAddress, systemClock } from '@kube2iam-ts/core'
import { createEmulator, createMemoryTokenKeys } from '@kube2iam-ts/metadata-emulator'
import { listen } from '@kube2iam-ts/metadata-emulator/node'
import { createFakeCredentialService, createFakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { afterEach, expect, test } from 'vitest'
import { type Listeners, openListeners } from './listeners.ts'
import { parseSettings } from './settings/settings.ts'

const POD = '127.44.0.7' as IpAddress
const LIST = '/latest/meta-data/iam/security-credentials/'
let listeners: Listeners | undefined
afterEach(async () => {
  await listeners?.close(0)
  listeners = undefined
})

/** What the agent listens on, on real sockets, before a pod that has a role. */
async function openAgent(...args: string[]) {
  const parsed = parseSettings({
    args: ['--node=node-1', '--bind-address=127.0.0.1', ...args],
  })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  const clock = systemClock
  const report = (): void => {}
  const emulator = createEmulator({
    service: createFakeCredentialService({
      clock,
      callers: [{ address: POD, role: 'arn:aws:iam::123456789012:role/app', token: 'jwt' }],
    }),
    upstream: createFakeInstance({ clock }).upstream,
    clock,
    random: Math.random,
    report,
    tokenKeys: createMemoryTokenKeys(),
  })
  const status = {
    health: () => ({ ready: true, parts: [] }),
    metrics: () => Promise.reject(new Error('unused')),
  }
  const opened = await openListeners({
    settings: parsed.settings,
    emulator,
    status,
    listen: (options) => listen({ ...options, port: 0, reusePort: false }),
    clock,
    report,
  })
  listeners = opened
  return (
    host: string,
    path: string,
    at: 'metadata' | 'container' = 'metadata',
  ): Promise<{ status: number | undefined; type: string | undefined; body: string }> =>
    new Promise((resolve, reject) => {
      const headers = { host, authorization: 'jwt' }
      const { port } = opened.addresses[at] ?? {}
      request({ host: '127.0.0.1', port, path, headers, localAddress: POD, agent: false }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.once('end', () => {
          resolve({ status: response.statusCode, type: response.headers['content-type'], body })
        })
      })
        .once('error', reject)
        .end()
    })
}

const PATHS = ['/v1/credentials', '/v2/credentials', '/v1/credentials?x=y']
const FOREIGN = ['169.254.169.254', 'evil.example', '169.254.170.23:8080', '169.254.170.23.evil.example', '']

test.each(['169.254.170.2', '169.254.170.23', '169.254.170.23:80', '[fd00:ec2::23]'])(
  'on the port of pods a container asks at %s',
  async (host) => {
    const ask = await openAgent('--container-credentials')
    for (const path of PATHS) {
      const { status, body } = await ask(host, path)
      expect([status, Object.keys(JSON.parse(body))]).toEqual([200, expect.arrayContaining(['RoleArn'])])
    }
    // What the protocol does not have is its own 404, not the metadata service's.
    expect(await ask(host, LIST)).toMatchObject({ status: 404, type: 'application/json' })
  },
)

test.each(FOREIGN)(
  'on the port of pods, container credentials under the name "%s" are refused as such',
  async (host) => {
    const ask = await openAgent('--container-credentials')
    for (const path of PATHS) {
      const { status, type, body } = await ask(host, path)
      expect([status, type]).toEqual([403, 'application/json'])
      expect(JSON.parse(body)).toEqual({ code: 'AccessDeniedException', message: expect.any(String) })
    }
    expect(await ask(host, LIST)).toEqual({ status: 200, type: 'text/plain', body: 'app' })
  },
)

test('so they are on a port of its own, and there is no metadata there', async () => {
  const ask = await openAgent('--container-credentials', '--container-credentials-port=9123')
  expect(await ask('evil.example', '/v1/credentials', 'container')).toMatchObject({ status: 403 })
  expect(await ask('169.254.170.23', '/v1/credentials', 'container')).toMatchObject({ status: 200 })
  expect(await ask('169.254.170.23', LIST, 'container')).toMatchObject({
    status: 404,
    type: 'application/json',
  })
})

test('where the protocol is not served its paths are nothing', async () => {
  const ask = await openAgent()
  for (const host of ['169.254.170.23', '169.254.169.254']) {
    for (const path of PATHS) {
      expect(await ask(host, path)).toEqual({ status: 404, type: 'text/plain', body: '' })
    }
  }
})
