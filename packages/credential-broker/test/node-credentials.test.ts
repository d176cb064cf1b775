import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Secret, systemClock } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import {
  createDefaultNodeCredentials,
  createInstanceCredentials,
  keepCredentials,
  type NodeCredentials,
  type NodeCredentialsProvider,
} from '../src/aws.ts'
import { never } from './sts-world.ts'

const DOCUMENT = {
  Code: 'Success',
  AccessKeyId: 'ASIANODE',
  SecretAccessKey: 'secret',
  Token: 'token',
  Expiration: '2026-01-01T06:00:00Z',
}
const ROLES = '/latest/meta-data/iam/security-credentials/'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}
type Reply = { status?: number; body?: string } | 'hang'

/** The least of a metadata service: what a test says for a path, else what a healthy instance says. */
async function openInstance(overrides: (seen: Seen, count: number) => Reply | undefined = () => undefined) {
  const requests: Seen[] = []
  const healthy = (seen: Seen): Reply => {
    if (seen.method === 'PUT') return { body: 'the-token' }
    if (seen.url === ROLES) return { body: 'node-role\n' }
    return seen.url === `${ROLES}node-role` ? { body: JSON.stringify(DOCUMENT) } : { status: 404 }
  }
  const server = createServer((request, response) => {
    const seen = { method: request.method ?? '', url: request.url ?? '', headers: request.headers }
    requests.push(seen)
    const reply = overrides(seen, requests.length) ?? healthy(seen)
    if (reply === 'hang') return
    response.writeHead(reply.status ?? 200)
    response.end(reply.body ?? '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    endpoint,
    requests,
    paths: () => requests.map(({ method, url }) => `${method} ${url}`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('the instance’s role', () => {
  const ask = (endpoint: string, timeoutMs = 1_000) =>
    createInstanceCredentials({ clock: systemClock, endpoint, timeoutMs }).get({ signal: never() })

  test('is had by IMDSv2', async () => {
    await using instance = await openInstance()
    const found = await ask(instance.endpoint)
    expect(found).toMatchObject({ accessKeyId: 'ASIANODE', expiration: new Date(DOCUMENT.Expiration) })
    expect([found.secretAccessKey.reveal(), found.sessionToken?.reveal()]).toEqual(['secret', 'token'])
    expect(instance.paths()).toEqual(['PUT /latest/api/token', `GET ${ROLES}`, `GET ${ROLES}node-role`])
    const [put, ...gets] = instance.requests
    expect(put?.headers['x-aws-ec2-metadata-token-ttl-seconds']).toBe('21600')
    expect(gets.map(({ headers }) => headers['x-aws-ec2-metadata-token'])).toEqual(['the-token', 'the-token'])
    expect(put?.headers['x-forwarded-for']).toBeUndefined()
  })

  test.each([403, 404, 405])(
    'is had without a token where the request for one is answered %i',
    async (status) => {
      await using instance = await openInstance(({ method }) => (method === 'PUT' ? { status } : undefined))
      expect((await ask(instance.endpoint)).accessKeyId).toBe('ASIANODE')
      expect(instance.requests.at(-1)?.headers['x-aws-ec2-metadata-token']).toBeUndefined()
    },
  )

  test('is asked for with a new token where the old one has ended', async () => {
    await using instance = await openInstance(({ method, headers }, count) => {
      if (method === 'PUT') return { body: `token-${count}` }
      return headers['x-aws-ec2-metadata-token'] === 'token-1' ? { status: 401 } : undefined
    })
    expect((await ask(instance.endpoint)).accessKeyId).toBe('ASIANODE')
  })

  test.each<[string, (seen: Seen) => Reply | undefined, RegExp]>([
    [
      'no role',
      ({ url }) => (url === ROLES ? { status: 404 } : undefined),
      /knows no role: give the instance/,
    ],
    ['an error', ({ url }) => (url === ROLES ? { status: 500 } : undefined), /answered 500/],
    ['a bad token request', ({ method }) => (method === 'PUT' ? { status: 400 } : undefined), /answered 400/],
    ['no JSON', ({ url }) => (url.endsWith('node-role') ? { body: '<html>' } : undefined), /no credentials/],
    [
      'a failed document',
      ({ url }) => (url.endsWith('node-role') ? { body: '{"Code":"Failed"}' } : undefined),
      /Failed/,
    ],
    ['silence', () => 'hang', /does not answer/],
    ['a flood', ({ url }) => (url === ROLES ? { body: 'x'.repeat(100_000) } : undefined), /does not answer/],
  ])('with %s is a retryable failure that says so', async (_what, reply, message) => {
    await using instance = await openInstance(reply)
    await expect(ask(instance.endpoint, 100)).rejects.toMatchObject({
      code: 'NODE_CREDENTIALS_UNAVAILABLE',
      retryable: true,
      message: expect.stringMatching(message),
    })
  })

  test('that is not there is a retryable failure', async () => {
    await expect(ask('http://127.0.0.1:1')).rejects.toMatchObject({ code: 'NODE_CREDENTIALS_UNAVAILABLE' })
  })
})

describe('what is kept', () => {
  const HOUR = 3_600_000
  function setUp() {
    const clock = createFakeClock()
    let fails = false
    let asked = 0
    const source: NodeCredentialsProvider = {
      async get() {
        asked += 1
        const number = asked
        await clock.sleep(10)
        if (fails) throw new Error('the metadata service is away')
        const expiration = new Date(clock.now() + 6 * HOUR)
        const secret = new Secret('s')
        return { accessKeyId: `KEY${number}`, secretAccessKey: secret, sessionToken: secret, expiration }
      },
    }
    const kept = keepCredentials(source, clock)
    const get = async (refused?: string): Promise<NodeCredentials> => {
      const got = kept.get({ signal: never(), ...(refused === undefined ? {} : { refused }) })
      const [credentials] = await Promise.all([got, clock.advance(10)])
      return credentials
    }
    return { clock, kept, get, asked: () => asked, break: (broken: boolean) => void (fails = broken) }
  }

  test('all who ask at once share one question', async () => {
    const { clock, kept, asked } = setUp()
    const all = Array.from({ length: 50 }, () => kept.get({ signal: never() }))
    await clock.advance(10)
    expect(new Set((await Promise.all(all)).map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(['KEY1']))
    expect(asked()).toBe(1)
  })

  test('newer ones are fetched a quarter of an hour before the end, while the old ones serve', async () => {
    const { clock, get } = setUp()
    await get()
    await clock.advance(5.7 * HOUR)
    expect((await get()).accessKeyId).toBe('KEY1')
    await clock.advance(0.1 * HOUR)
    expect((await get()).accessKeyId).toBe('KEY1')
    expect((await get()).accessKeyId).toBe('KEY2')
  })

  test('a source that fails is asked once a minute, and the old ones serve until they end', async () => {
    const { clock, get, asked, break: breakSource } = setUp()
    await get()
    breakSource(true)
    await clock.advance(5.8 * HOUR)
    for (let second = 0; second < 300; second += 1) {
      expect((await get()).accessKeyId).toBe('KEY1')
      await clock.advance(990)
    }
    expect(asked()).toBeLessThanOrEqual(1 + 6)
    await clock.advance(HOUR)
    await expect(get()).rejects.toThrow('away')
    breakSource(false)
    expect((await get()).accessKeyId).toMatch(/^KEY\d+$/)
  })

  test('a source that never answers is given up and asked again', async () => {
    const clock = createFakeClock()
    let asked = 0
    const source: NodeCredentialsProvider = {
      get: () => {
        asked += 1
        return new Promise(() => {})
      },
    }
    const kept = keepCredentials(source, clock)
    for (const expected of [1, 2]) {
      const got = kept.get({ signal: never() })
      await Promise.all([
        expect(got).rejects.toMatchObject({ code: 'NODE_CREDENTIALS_UNAVAILABLE', retryable: true }),
        clock.advance(10_000),
      ])
      expect(asked).toBe(expected)
    }
    expect(clock.pending).toBe(0)
  })

  test('what STS has refused is asked for anew, what it has not is kept', async () => {
    const { get } = setUp()
    await get()
    expect((await get('KEY1')).accessKeyId).toBe('KEY2')
    expect((await get('KEY1')).accessKeyId).toBe('KEY2')
  })
})

describe('the default chain', () => {
  const from = (environment: Record<string, string>, metadataEndpoint = 'http://127.0.0.1:1') =>
    createDefaultNodeCredentials({ clock: systemClock, environment, metadataEndpoint }).get({
      signal: never(),
    })

  test('takes keys from the environment before it asks anybody', async () => {
    const found = await from({ AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: '' })
    expect(found).toMatchObject({ accessKeyId: 'AKIA', sessionToken: undefined, expiration: undefined })
  })

  test('asks the instance where the environment says nothing', async () => {
    await using instance = await openInstance()
    expect((await from({}, instance.endpoint)).accessKeyId).toBe('ASIANODE')
  })

  test('leaves profiles to the chain of the SDK', async () => {
    await expect(from({ AWS_PROFILE: 'nobody-has-this' })).resolves.toMatchObject({
      // The SDK reads the process's own environment, where the tests' guard has put dummy keys.
      accessKeyId: 'AKIATESTGUARD0000000',
    })
  })
})
