import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseSettings } from '@kube2iam-ts/agent-runtime'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { connectToCluster } from '@kube2iam-ts/pod-registry/kubernetes'
import { createFakeApiServer, createTestAuthority } from '@kube2iam-ts/pod-registry/testing'
import { afterAll, expect, test } from 'vitest'
import { feedsOf, openCluster } from './cluster.ts'

const clock = createFakeClock()
const random = createSeededRandom(1)
const server = createFakeApiServer({ clock })
afterAll(async () => {
  await server.close()
})

test.each([
  [[], 3_600_000],
  [['--relist-interval=20m'], 1_200_000],
  [['--relist-interval=0s'], undefined],
])('with %j everything is listed anew after %s ms', async (args, everyMs) => {
  const parsed = parseSettings({ args })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  const ended = new AbortController()
  const { pods } = feedsOf(parsed.settings, { connection: server.connection(), clock, random }, 'node-1')
  const listedAt: number[] = []
  const begun = clock.monotonic()
  const following = (async () => {
    for await (const { kind } of pods.events(ended.signal)) {
      if (kind === 'snapshot') listedAt.push(clock.monotonic() - begun)
    }
  })()
  await clock.advance(5_400_000)
  ended.abort()
  await following
  expect(listedAt[0]).toBe(0)
  if (everyMs === undefined) expect(listedAt).toHaveLength(1)
  else {
    // Spread among nodes by a fifth, and at the end of a watch, which lasts six minutes at most.
    expect(listedAt[1]).toBeGreaterThanOrEqual(everyMs)
    expect(listedAt[1]).toBeLessThan(everyMs * 1.2 + 360_001)
  }
})

test('an API server with a certificate of its own is verified by --api-server-ca-file, the token is read from --api-token-file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agent-cluster-'))
  const [token, ca] = [join(directory, 'token'), join(directory, 'ca.crt')]
  const authority = createTestAuthority()
  const tls = { ...authority.issue({ commonName: 'api', hosts: ['127.0.0.1'] }), ca: authority.ca }
  const secured = createFakeApiServer({ tls, token: 'one' })
  const { url } = await secured.listen()
  const ask = async (...args: string[]): Promise<number> => {
    const parsed = parseSettings({ args: [`--api-server=${url}`, ...args] })
    if (parsed.kind !== 'settings') throw new Error(parsed.kind)
    const connection = connectToCluster(await openCluster(parsed.settings, {}))
    try {
      const { status, body } = await connection.request({ method: 'GET', path: '/api/v1/pods' })
      for await (const _ of body);
      return status
    } finally {
      await connection.close()
    }
  }
  try {
    writeFileSync(token, 'one\n')
    writeFileSync(ca, authority.ca)
    const both = [`--api-token-file=${token}`, `--api-server-ca-file=${ca}`]
    expect(await ask(...both)).toBe(200)
    writeFileSync(token, 'two\n')
    expect(await ask(...both)).toBe(401)
    await expect(ask(`--api-token-file=${token}`)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' })
    await expect(ask(`--api-server-ca-file=${ca}.gone`)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  } finally {
    await secured.close()
    rmSync(directory, { recursive: true })
  }
})
