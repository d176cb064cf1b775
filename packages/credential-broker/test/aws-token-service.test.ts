import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { parseRoleArn } from '@kube2iam-ts/core'
import { aGrant, createFakeClock } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import { type NodeCredentialsProvider, stsEndpoint } from '../src/aws.ts'
import { adaptGrants } from '../src/index.ts'
import type { FakeStsFaults } from '../src/testing.ts'
import {
  ACCOUNT,
  APP,
  asNodeCredentials,
  NODE_ARN,
  NODE_KEYS,
  NODE_ROLE,
  never,
  openStsWorld,
  trusting,
} from './sts-world.ts'
import { cert, key } from './tls-fixture.ts'

const NEWER = { accessKeyId: 'ASIANODE0000000000BB', secretAccessKey: 'newer', sessionToken: 'newer-token' }
const assume = { signal: never() }

describe('the node’s own credentials', () => {
  /** Gives the old ones until STS has refused them. */
  const rotating = (): NodeCredentialsProvider & { asked: (string | undefined)[] } => {
    const asked: (string | undefined)[] = []
    return {
      asked,
      async get({ refused }) {
        asked.push(refused)
        return asNodeCredentials(refused === undefined ? NODE_KEYS : NEWER)
      },
    }
  }

  test.each<[string, { expiresAt: number } | undefined]>([
    ['expired', { expiresAt: 1 }],
    ['withdrawn', undefined],
  ])('that are %s are replaced and the call is made again, unseen', async (_how, ended) => {
    await using world = await openStsWorld()
    world.sts.addPrincipal({ ...NEWER, arn: NODE_ARN })
    if (ended === undefined) world.sts.removePrincipal(NODE_KEYS.accessKeyId)
    else world.sts.addPrincipal({ ...NODE_KEYS, arn: NODE_ARN, ...ended })
    const nodeCredentials = rotating()
    const { assumedRoleArn } = await world.serve({ nodeCredentials }).assumeRole(aGrant(), assume)
    expect(assumedRoleArn).toContain('assumed-role/app/')
    expect(nodeCredentials.asked).toEqual([undefined, NODE_KEYS.accessKeyId])
    expect(world.events).toEqual([
      { kind: 'node-credentials-replaced', refused: NODE_KEYS.accessKeyId, accessKeyId: NEWER.accessKeyId },
    ])
  })

  test('that stay refused are an outage of the node and no denial of the pod', async () => {
    await using world = await openStsWorld()
    world.sts.removePrincipal(NODE_KEYS.accessKeyId)
    const failure = world.serve().assumeRole(aGrant(), assume)
    await expect(failure).rejects.toMatchObject({ code: 'NODE_CREDENTIALS_UNAVAILABLE', retryable: true })
    expect(world.sts.calls).toHaveLength(1)
  })
})

describe('an intermediate role', () => {
  const between = parseRoleArn(`arn:aws:iam::${ACCOUNT}:role/kube2iam`)
  const intermediateRole = { role: between, sessionName: 'node-1' }

  test('is assumed once, and pods’ roles from it', async () => {
    await using world = await openStsWorld()
    world.sts.addRole({ arn: between.text, trustPolicy: trusting(NODE_ROLE) })
    world.sts.addRole({ arn: APP, trustPolicy: trusting(between.text) })
    const service = world.serve({ intermediateRole })
    await service.assumeRole(aGrant(), assume)
    await service.assumeRole(aGrant(), assume)
    expect(world.sts.calls.map(({ callerArn }) => callerArn)).toEqual([
      NODE_ARN,
      `arn:aws:sts::${ACCOUNT}:assumed-role/kube2iam/node-1`,
      `arn:aws:sts::${ACCOUNT}:assumed-role/kube2iam/node-1`,
    ])
  })

  test('that may not be assumed is the agent’s trouble and remembered against no pod', async () => {
    await using world = await openStsWorld()
    await expect(world.serve({ intermediateRole }).assumeRole(aGrant(), assume)).rejects.toMatchObject({
      code: 'NODE_CREDENTIALS_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining(between.text),
    })
  })

  test('whose session has ended is assumed anew', async () => {
    const clock = createFakeClock(new Date())
    await using world = await openStsWorld({ clock })
    world.sts.addRole({ arn: between.text, trustPolicy: trusting(NODE_ROLE) })
    world.sts.addRole({ arn: APP, trustPolicy: trusting(between.text) })
    const service = world.serve({ intermediateRole })
    await service.assumeRole(aGrant(), assume)
    await clock.advance(2 * 3_600_000)
    await service.assumeRole(aGrant(), assume)
    expect(world.sts.calls.filter(({ callerArn }) => callerArn === NODE_ARN)).toHaveLength(2)
  })
})

describe('what STS does not give is not asked for again', () => {
  test('durations are clamped where roles are chained, tags left out where they are not allowed', async () => {
    await using world = await openStsWorld()
    world.sts.addRole({
      arn: APP,
      trustPolicy: {
        Statement: { Effect: 'Allow', Principal: { AWS: NODE_ROLE }, Action: 'sts:AssumeRole' },
      },
    })
    const events: unknown[] = []
    const report = (event: unknown) => void events.push(event)
    const service = adaptGrants(world.serve(), { clock: createFakeClock(), report, region: 'eu-west-1' })
    const grant = aGrant({ durationSeconds: 43_200, tags: { 'kubernetes-namespace': 'shop' } })
    const { credentials } = await service.assumeRole(grant, assume)
    expect(credentials.expiration.getTime() - Date.now()).toBeLessThanOrEqual(3_600_000)
    expect(events).toMatchObject([
      { kind: 'tags-left-out' },
      { kind: 'duration-clamped', askedSeconds: 43_200, givenSeconds: 3_600, because: 'role-chaining' },
    ])
  })

  test('a user’s keys get the role’s own maximum', async () => {
    await using world = await openStsWorld()
    world.sts.addPrincipal({ ...NODE_KEYS, arn: `arn:aws:iam::${ACCOUNT}:user/ann` })
    world.sts.addRole({ arn: APP, trustPolicy: trusting(ACCOUNT), maxSessionDurationSeconds: 7_200 })
    const service = adaptGrants(world.serve(), { clock: createFakeClock(), report: () => {} })
    const grant = aGrant({ durationSeconds: 10_800 })
    const lives: number[] = []
    for (let time = 0; time < 3; time += 1) {
      const { credentials } = await service.assumeRole(grant, assume)
      lives.push(Math.round((credentials.expiration.getTime() - Date.now()) / 3_600_000))
    }
    expect(lives).toEqual([1, 2, 2])
  })

  test('a region that is switched off is replaced', async () => {
    await using world = await openStsWorld()
    world.sts.faults.regionsOff.add('ap-east-1')
    const inner = world.serve({ region: 'ap-east-1' })
    const service = adaptGrants(inner, { clock: createFakeClock(), report: () => {}, region: 'ap-east-1' })
    await service.assumeRole(aGrant(), assume)
    expect(world.sts.calls.map(({ region, status }) => [region, status])).toEqual([
      ['ap-east-1', 403],
      ['us-east-1', 200],
    ])
  })

  test('too much packed is explained', async () => {
    await using world = await openStsWorld()
    const tags = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [`key-${index}`, 'v'.repeat(200)]),
    )
    await expect(world.serve().assumeRole(aGrant({ tags }), assume)).rejects.toMatchObject({
      code: 'STS_INVALID',
      retryable: false,
      message: expect.stringMatching(
        /larger than STS packs; use fewer or shorter ones.*request [0-9a-f-]{36}/,
      ),
    })
  })
})

describe('the wire', () => {
  test.each([-60, -6, 6, 60])(
    'a clock %i minutes off is corrected by STS’s and the call made again',
    async (minutes) => {
      const clock = createFakeClock(new Date(Date.now() + minutes * 60_000))
      await using world = await openStsWorld()
      const service = world.serve({ clock })
      await service.assumeRole(aGrant(), assume)
      await service.assumeRole(aGrant(), assume)
      expect(world.sts.calls.map(({ status }) => status)).toEqual([403, 200, 200])
      expect(world.events).toMatchObject([{ kind: 'clock-corrected' }])
    },
  )

  test.each([-60, -6, 6, 60])(
    'a clock %i minutes off that is set right again is believed again, and its calls work',
    async (minutes) => {
      const clock = createFakeClock(new Date(Date.now() + minutes * 60_000))
      await using world = await openStsWorld()
      const service = world.serve({ clock })
      await service.assumeRole(aGrant(), assume)
      clock.jump(-minutes * 60_000)
      await service.assumeRole(aGrant(), assume)
      await service.assumeRole(aGrant(), assume)
      expect(world.sts.calls.map(({ status }) => status)).toEqual([403, 200, 403, 200, 200])
      expect(world.events.map(({ kind }) => kind)).toEqual(['clock-corrected', 'clock-right-again'])
    },
  )

  test('calls that were all signed by a wrong clock are all made again, and the correction is told once', async () => {
    const clock = createFakeClock(new Date(Date.now() + 60 * 60_000))
    await using world = await openStsWorld()
    const service = world.serve({ clock })
    await Promise.all([0, 1, 2].map((pod) => service.assumeRole(aGrant({ sessionName: `p${pod}` }), assume)))
    expect(world.sts.calls.filter(({ status }) => status === 200)).toHaveLength(3)
    expect(world.events).toMatchObject([{ kind: 'clock-corrected' }])
  })

  test('what a success tells of the time is heeded: a clock that goes ever more wrong fails no call', async () => {
    const clock = createFakeClock(new Date())
    await using world = await openStsWorld()
    const service = world.serve({ clock })
    // Far out and back, in steps that signatures just bear.
    const steps = [...Array<number>(16).fill(1.5), ...Array<number>(16).fill(-1.5)]
    for (const minutes of steps) {
      clock.jump(minutes * 60_000)
      await service.assumeRole(aGrant(), assume)
    }
    expect(world.sts.calls.filter(({ status }) => status !== 200)).toEqual([])
    expect(world.events.at(-1)).toEqual({ kind: 'clock-right-again' })
  })

  test('small differences correct nothing', async () => {
    const clock = createFakeClock(new Date())
    await using world = await openStsWorld()
    const service = world.serve({ clock })
    for (const minutes of [2, -4, 2]) {
      clock.jump(minutes * 60_000)
      await service.assumeRole(aGrant(), assume)
    }
    expect(world.events).toEqual([])
  })

  test('one connection serves many calls', async () => {
    await using world = await openStsWorld()
    const proxy = await forward(world.port)
    world.onClose(proxy.close)
    const service = world.serve({ endpoint: proxy.url })
    for (let call = 0; call < 5; call += 1) await service.assumeRole(aGrant(), assume)
    expect(proxy.connections()).toBe(1)
  })

  test('a connection that was closed while idle is opened anew, unseen', async () => {
    await using world = await openStsWorld()
    const proxy = await forward(world.port)
    world.onClose(proxy.close)
    const service = world.serve({ endpoint: proxy.url })
    await service.assumeRole(aGrant(), assume)
    proxy.resetOnNextBytes()
    expect((await service.assumeRole(aGrant(), assume)).assumedRoleArn).toContain('app')
    expect(proxy.connections()).toBe(2)
  })

  test.each([
    ['hangs', (faults: FakeStsFaults) => void (faults.hang = true)],
    ['answers HTML', (faults: FakeStsFaults) => void (faults.rubbish = 'html')],
    ['answers half', (faults: FakeStsFaults) => void (faults.rubbish = 'truncated')],
    ['answers nothing', (faults: FakeStsFaults) => void (faults.rubbish = 'empty')],
    ['cuts the connection', (faults: FakeStsFaults) => void (faults.outage = 'reset')],
    ['fails inside', (faults: FakeStsFaults) => void (faults.outage = 'internal-failure')],
  ])('an STS that %s is a retryable failure', async (_what, spoil) => {
    await using world = await openStsWorld()
    spoil(world.sts.faults)
    await expect(world.serve({ requestTimeoutMs: 150 }).assumeRole(aGrant(), assume)).rejects.toMatchObject({
      code: expect.stringMatching(/^STS_(UNAVAILABLE|BAD_ANSWER)$/),
      retryable: true,
    })
  })

  test('nothing that listens is a retryable failure', async () => {
    await using world = await openStsWorld()
    await expect(
      world.serve({ endpoint: 'http://127.0.0.1:1' }).assumeRole(aGrant(), assume),
    ).rejects.toMatchObject({
      code: 'STS_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('Retry-After is told', async () => {
    await using world = await openStsWorld()
    world.sts.faults.throttle = { ratePerSecond: 0, burst: 0 }
    world.sts.faults.retryAfterSeconds = 7
    await expect(world.serve().assumeRole(aGrant(), assume)).rejects.toMatchObject({
      code: 'STS_THROTTLED',
      detail: { retryAfterMs: 7_000, stsCode: 'Throttling', status: 400 },
    })
  })

  test('a private CA is trusted where it is given, and nobody where it is not', async () => {
    await using world = await openStsWorld({ tls: { key, cert } })
    expect((await world.serve({ ca: cert }).assumeRole(aGrant(), assume)).assumedRoleArn).toContain('app')
    await expect(world.serve().assumeRole(aGrant(), assume)).rejects.toMatchObject({
      code: 'STS_UNAVAILABLE',
      message: expect.stringMatching(/self-signed/),
    })
  })

  test('calls go through a proxy where one is set, and past it to hosts that are excepted', async () => {
    await using world = await openStsWorld({ tls: { key, cert } })
    await using plain = await openStsWorld()
    const proxy = await listenProxy()
    world.onClose(proxy.close)
    await world.serve({ ca: cert, proxy: { https: proxy.url } }).assumeRole(aGrant(), assume)
    await plain.serve({ proxy: { http: proxy.url } }).assumeRole(aGrant(), assume)
    await plain.serve({ proxy: { http: proxy.url, none: '127.0.0.1' } }).assumeRole(aGrant(), assume)
    expect(proxy.requests).toEqual([`CONNECT 127.0.0.1:${world.port}`, `POST ${plain.url}/`])
  })

  test('warming up says who the agent is, and never fails', async () => {
    await using world = await openStsWorld()
    await world.serve().warmUp(never())
    await world.serve({ endpoint: 'http://127.0.0.1:1' }).warmUp(never())
    expect(world.events).toMatchObject([
      { kind: 'node-identified', arn: NODE_ARN, account: ACCOUNT },
      { kind: 'warm-up-failed', code: 'STS_UNAVAILABLE' },
    ])
  })
})

test.each([
  [{}, 'eu-central-1', 'https://sts.eu-central-1.amazonaws.com/'],
  [{}, undefined, 'https://sts.amazonaws.com/'],
  [{}, 'cn-north-1', 'https://sts.cn-north-1.amazonaws.com.cn/'],
  [{}, 'us-gov-west-1', 'https://sts.us-gov-west-1.amazonaws.com/'],
  [{}, 'us-iso-east-1', 'https://sts.us-iso-east-1.c2s.ic.gov/'],
  [{}, 'us-isob-east-1', 'https://sts.us-isob-east-1.sc2s.sgov.gov/'],
  [{}, 'eu-isoe-west-1', 'https://sts.eu-isoe-west-1.cloud.adc-e.uk/'],
  [{}, 'us-isof-south-1', 'https://sts.us-isof-south-1.csp.hci.ic.gov/'],
  [{}, 'eusc-de-east-1', 'https://sts.eusc-de-east-1.amazonaws.eu/'],
  [{}, 'xx-future-1', 'https://sts.xx-future-1.amazonaws.com/'],
  [{ fips: true }, 'us-west-2', 'https://sts-fips.us-west-2.amazonaws.com/'],
  [{ fips: true }, 'us-gov-west-1', 'https://sts.us-gov-west-1.amazonaws.com/'],
  [{ dualStack: true }, 'eu-west-1', 'https://sts.eu-west-1.api.aws/'],
  [
    { endpoint: 'https://vpce-1.sts.eu-west-1.vpce.amazonaws.com' },
    'eu-west-1',
    'https://vpce-1.sts.eu-west-1.vpce.amazonaws.com',
  ],
])('%j in %s asks %s', async (options, region, url) => {
  expect(await stsEndpoint(options, region)).toBe(url)
})

/** A TCP relay that counts connections and can cut the next one that says something. */
async function forward(port: number) {
  const sockets = new Set<Socket>()
  let count = 0
  let reset = false
  const server = createTcpServer((incoming) => {
    count += 1
    const outgoing = connect(port, '127.0.0.1')
    for (const socket of [incoming, outgoing]) sockets.add(socket.on('error', () => {}))
    incoming.on('data', (chunk) => {
      if (reset) {
        reset = false
        incoming.resetAndDestroy()
        outgoing.destroy()
      } else outgoing.write(chunk)
    })
    outgoing.on('data', (chunk) => incoming.write(chunk))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => count,
    resetOnNextBytes: () => void (reset = true),
    close: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** A forward proxy: absolute-form requests for http, CONNECT for https. */
async function listenProxy() {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((incoming, answer) => {
    requests.push(`${incoming.method} ${incoming.url}`)
    const { method, headers } = incoming
    const outgoing = httpRequest(incoming.url ?? '', { method, headers, agent: false }, (response) => {
      answer.writeHead(response.statusCode ?? 0, response.headers)
      response.pipe(answer)
    })
    incoming.pipe(outgoing)
  })
  server.on('connect', (incoming, socket) => {
    requests.push(`CONNECT ${incoming.url}`)
    const [host = '', port = ''] = (incoming.url ?? '').split(':')
    const outgoing = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      socket.pipe(outgoing).pipe(socket)
    })
    sockets.add(outgoing).add(socket as Socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.close()
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    },
  }
}
