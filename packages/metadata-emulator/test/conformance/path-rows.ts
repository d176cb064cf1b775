import { expect } from 'vitest'
import { collect, dial, exchange, parseAnswers } from '../support/raw-client.ts'
import { PODS, STRANGER } from '../support/world.ts'
import { CREDENTIALS, EXTENDED, expectAnswer, forwarded, type Row, TOKEN_PATH, TTL } from './table.ts'

const never = (row: number, target: string): Row => ({
  row,
  does: `GET ${target}`,
  send: { target },
  want: { status: 404 },
})
const read = (row: number, target: string, body: string, forwards: readonly string[]): Row => ({
  row,
  does: `GET ${target}`,
  send: { target },
  want: { status: 200, body, ttl: 'left', forwards },
})
const ZONE = '/latest/meta-data/placement/availability-zone'
const DOCUMENT = '/latest/dynamic/instance-identity/document'

/** 8.4: rows 80 to 100. */
export const pathRows: readonly Row[] = [
  ...[
    `/${CREDENTIALS}/`,
    `/${CREDENTIALS}/app`,
    '/latest//meta-data/iam/security-credentials/',
    '/latest/meta-data//iam/security-credentials/',
    '/latest/meta-data/iam//security-credentials/',
    `${CREDENTIALS}//`,
    `${CREDENTIALS}//app`,
    `${CREDENTIALS}/app//`,
    '//',
    '/latest//user-data',
    '/latest/meta-data/placement//region',
  ].map((target) => never(80, target)),
  ...[
    '/latest/meta-data/placement/../iam/security-credentials/x',
    '/latest/./meta-data/iam/security-credentials/',
    `${CREDENTIALS}/.`,
    `${CREDENTIALS}/..`,
    `${CREDENTIALS}/../../user-data`,
    `${CREDENTIALS}/%2e%2e/%2e%2e/user-data`,
    `${CREDENTIALS}/..%2f..%2fuser-data`,
    '/latest/meta-data/%2e%2e/user-data',
    '/latest/meta-data%2fiam/security-credentials/',
    '/latest/meta-data/iam%2Fsecurity-credentials/',
    '/latest/meta-data/iam%252Fsecurity-credentials/',
    '/latest/meta-data/%69am/security-credentials/',
    '/latest/meta-data/iam/security%2Dcredentials/',
    '/latest/meta-data/iam;a=b/security-credentials/',
    `${CREDENTIALS};a=b/`,
    `${CREDENTIALS}/app;a=b`,
    '/latest\\meta-data\\iam\\security-credentials\\',
    '/latest/meta-data/iam\\security-credentials/',
    '/latest/meta-data/iam/security-credentials%00/',
    `${CREDENTIALS}/app%00`,
    `${CREDENTIALS}/app%0a`,
    `${CREDENTIALS}/app%`,
    `${CREDENTIALS}/%E0%A4%A`,
    '/latest/meta-data/iam/security-credentials%20/',
    '/latest/meta-data/placement/region%20',
    '/latest/meta-data/placement/region#x',
    '/latest/user-data%2e',
    '/meta-data/iam/security-credentials/',
    'http://x//latest/user-data',
  ].map((target) => never(81, target)),
  {
    row: 81,
    does: 'spaces doubled around the target, and line ends before the request line',
    elsewhere:
      'cannot be refused: the parser drops them before anybody sees them, as RFC 9112 (2.2 and 3) lets it; the target between them is judged like any other, as the next row shows',
  },
  {
    row: 81,
    does: 'what stands around the target changes nothing',
    mode: 'optional',
    async run({ world }) {
      const port = world.listener.port
      const around = (target: string) => [
        `GET  ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
        `GET ${target}  HTTP/1.1\r\nHost: a\r\n\r\n`,
        `\r\n\r\nGET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
      ]
      for (const [target, status] of [
        [`${CREDENTIALS}/`, 200],
        ['/latest/user-data', 404],
        [`/${CREDENTIALS}/`, 404],
      ] as const) {
        for (const bytes of around(target)) {
          const [answer] = parseAnswers(await exchange(bytes, { port, from: PODS.app.address }))
          expectAnswer(answer!, { status, ...(status === 200 && { body: 'app' }) })
        }
      }
      expect(forwarded(world)).toEqual([])
    },
  },
  ...[
    '/latest/meta-data/IAM/security-credentials/',
    '/latest/META-DATA/iam/security-credentials/',
    '/latest/meta-data/iam/Security-Credentials/',
    '/latest/meta-data/iam/SECURITY-CREDENTIALS/app',
    '/latest/Meta-Data/placement/region',
    '/latest/meta-data/Identity-Credentials/ec2/security-credentials/ec2-instance',
    '/latest/USER-DATA',
  ].map((target) => never(82, target)),
  {
    row: 83,
    does: 'an absolute target is judged by its path',
    send: { target: `http://evil.example:8080${CREDENTIALS}/` },
    want: { status: 200, body: 'app' },
  },
  never(83, 'http://evil.example/latest/user-data'),
  never(83, `https://169.254.169.254${CREDENTIALS}/`),
  never(83, `http://user@169.254.169.254${CREDENTIALS}/`),
  {
    row: 83,
    does: 'a foreign Host changes nothing, and the instance does not see it',
    async run({ open }) {
      const world = await open()
      const target = '/latest/meta-data/placement/region'
      for (const asked of [target, `http://evil.example${target}`]) {
        const answer = await world.ask({ target: asked, headers: [['Host', 'evil.example']] })
        expectAnswer(answer, { status: 200, body: 'us-east-1' })
      }
      expect(forwarded(world)).toEqual([target])
      expect(JSON.stringify(world.instance.requests)).not.toContain('evil')
    },
  },
  {
    row: 84,
    does: 'the query is dropped',
    async run({ open }) {
      const world = await open()
      const target = '/latest/meta-data/spot/instance-action'
      const token = await world.tokenOf(PODS.app.address)
      await world.ask({ target: `${target}?x=/../user-data`, token })
      expect(forwarded(world)).toEqual([target])
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/?a=b`, token }), { status: 200, body: 'app' })
      expectAnswer(await world.ask({ target: `${CREDENTIALS}?/other`, token }), { status: 200, body: 'app' })
      expectAnswer(await world.ask({ target: '/latest/user-data?/placement/region', token }), { status: 404 })
    },
  },
  {
    row: 85,
    does: 'the zone with and without a slash, asked of the instance once',
    async run({ open }) {
      const world = await open()
      for (const target of [ZONE, `${ZONE}/`]) {
        expectAnswer(await world.ask({ target }), { status: 200, body: 'us-east-1a' })
      }
      expect(forwarded(world)).toEqual([ZONE])
    },
  },
  {
    row: 86,
    does: 'the region',
    async run({ open }) {
      const world = await open()
      const target = '/latest/meta-data/placement/region'
      expectAnswer(await world.ask({ target }), { status: 200, body: 'us-east-1' })
    },
  },
  never(87, DOCUMENT),
  never(87, `${DOCUMENT}/`),
  {
    row: 87,
    does: 'with the preset region a document of region and zone, and nothing else',
    async run({ open }) {
      const world = await open({ allow: ['region'] })
      for (const target of [DOCUMENT, `${DOCUMENT}/`]) {
        const { status, body } = await world.ask({ target })
        expect([status, JSON.parse(body.toString())]).toEqual([
          200,
          { availabilityZone: 'us-east-1a', region: 'us-east-1' },
        ])
      }
      expect(forwarded(world)).not.toContain(DOCUMENT)
    },
  },
  ...['pkcs7', 'rsa2048', 'signature', 'dsa2048'].map((leaf) =>
    never(88, `/latest/dynamic/instance-identity/${leaf}`),
  ),
  never(89, '/latest/user-data'),
  never(89, '/latest/user-data/'),
  {
    row: 89,
    does: 'user-data where it is allowed',
    async run({ open }) {
      const world = await open({ allow: ['user-data'] })
      const want = { status: 200, type: 'application/octet-stream', body: /bootstrap/ }
      expectAnswer(await world.ask({ target: '/latest/user-data' }), want)
    },
  },
  ...[
    '',
    '/',
    '/ec2',
    '/ec2/info',
    '/ec2/security-credentials',
    '/ec2/security-credentials/ec2-instance',
  ].flatMap((below) =>
    ['latest', '2021-03-23'].map((version) =>
      never(90, `/${version}/meta-data/identity-credentials${below}`),
    ),
  ),
  {
    row: 90,
    does: 'not even with everything else allowed',
    async run({ open }) {
      const world = await open({ allow: ['kube2iam'] })
      const target = '/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance'
      expectAnswer(await world.ask({ target }), { status: 404 })
      expect(forwarded(world)).toEqual([])
    },
  },
  ...['spot/instance-action', 'events/recommendations/rebalance'].map(
    (leaf): Row => ({
      row: 91,
      does: `${leaf} is asked of the instance, whose 404 page passes`,
      send: { target: `/latest/meta-data/${leaf}` },
      want: {
        status: 404,
        type: 'text/html',
        body: /^<\?xml[^]*<h1>404 - Not Found<\/h1>[^]*<\/html>\n$/,
        forwards: [`/latest/meta-data/${leaf}`],
      },
    }),
  ),
  {
    row: 92,
    does: 'the index lists what is allowed, directories with a slash, iam/ with a role only',
    async run({ open }) {
      const world = await open()
      const target = '/latest/meta-data/'
      const safe = [
        'autoscaling/',
        'events/',
        'instance-life-cycle',
        'instance-type',
        'placement/',
        'services/',
        'spot/',
      ]
      const index = async (from: string) => (await world.ask({ target, from })).body.toString().split('\n')
      expect(await index(PODS.app.address)).toEqual([...safe, 'iam/'].sort())
      expect(await index(PODS.plain.address)).toEqual(safe)
      expect(forwarded(world)).toEqual([])
    },
  },
  {
    row: 92,
    does: 'everything that the index leads to is served',
    async run({ open }) {
      const world = await open({
        allow: ['region', 'placement', 'instance', 'network', 'spot', 'tags', 'all-safe'],
      })
      const seen: string[] = []
      const crawl = async (directory: string): Promise<void> => {
        const listing = await world.ask({ target: directory })
        expect([directory, listing.status]).toEqual([directory, 200])
        for (const name of listing.body.toString().split('\n')) {
          const target = `${directory}${name}`
          if (name.endsWith('/')) {
            await crawl(target)
          } else {
            seen.push(target)
            const { status, body } = await world.ask({ target })
            if (status !== 200)
              expect([target, body.toString()]).toEqual([target, expect.stringContaining('404')])
          }
        }
      }
      await crawl('/latest/meta-data/')
      expect(seen).toContain('/latest/meta-data/network/interfaces/macs/02:29:96:8f:6a:2d/vpc-id')
      expect(seen).toContain('/latest/meta-data/tags/instance/Name')
      expect(seen).toContain('/latest/meta-data/iam/security-credentials/app')
      expect(seen.length).toBeGreaterThan(40)
    },
  },
  ...['/latest/', '/latest'].map((target) => read(93, target, 'meta-data', [])),
  {
    row: 93,
    does: 'and what else is allowed',
    async run({ open }) {
      const one = await open({ allow: ['region', 'user-data'] })
      expectAnswer(await one.ask({ target: '/latest/' }), {
        status: 200,
        body: 'dynamic\nmeta-data\nuser-data',
      })
      const other = await open({ allow: ['none'] })
      expectAnswer(await other.ask({ target: '/latest/' }), { status: 200, body: 'meta-data' })
    },
  },
  {
    row: 94,
    mode: 'optional',
    does: 'a slow instance costs 503 within a second, and no credentials',
    async run({ open }) {
      const world = await open()
      world.instance.faults.slowMs = 10_000
      const asked = performance.now()
      const leaf = world.ask({ target: '/latest/meta-data/placement/region' })
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/app` }), { status: 200 })
      expectAnswer(await leaf, { status: 503 })
      expect(performance.now() - asked).toBeLessThan(2000)
    },
  },
  {
    row: 94,
    does: 'so does a dead one',
    async run({ open }) {
      const world = await open()
      world.instance.faults.down = true
      expectAnswer(await world.ask({ target: '/latest/meta-data/placement/region' }), { status: 503 })
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/app` }), { status: 200 })
    },
  },
  {
    row: 95,
    does: 'of the instance’s headers three pass, and the token’s time is the pod’s token’s',
    async run({ open }) {
      const world = await open()
      const token = await world.tokenOf(PODS.app.address, '600')
      const answer = await world.ask({ target: '/latest/meta-data/placement/region', token })
      expect(answer.headers.map(([name]) => name.toLowerCase()).sort()).toEqual([
        'accept-ranges',
        'connection',
        'content-length',
        'content-type',
        'date',
        'last-modified',
        'server',
        'x-aws-ec2-metadata-token-ttl-seconds',
      ])
      expect(answer.header('last-modified')).toBe('Thu, 01 Jan 2026 00:00:00 GMT')
      expect(Number(answer.header('x-aws-ec2-metadata-token-ttl-seconds'))).toBeLessThanOrEqual(600)
    },
  },
  {
    row: 96,
    does: 'the sequence of fluent-bit',
    async run({ world }) {
      expect((await world.ask({ target: '/', token: 'INVALID' })).status).toBe(401)
      const token = await world.tokenOf(PODS.app.address)
      const statuses = []
      for (const target of [`${CREDENTIALS}/`, `${CREDENTIALS}/app`, '/latest/meta-data/instance-id/']) {
        statuses.push((await world.ask({ target, token })).status)
      }
      expect(statuses).toEqual([200, 200, 404])
    },
  },
  {
    row: 97,
    does: 'the sequence of cloud-init, over IPv4 and IPv6, with the preset instance and without',
    async run({ open }) {
      const target = '/2021-03-23/meta-data/instance-id'
      for (const [host, from] of [
        ['127.0.0.1', PODS.app.address],
        ['::1', '::1'],
      ] as const) {
        for (const [allow, status] of [
          ['instance', 200],
          ['all-safe', 404],
        ] as const) {
          const world = await open({ host, allow: [allow] })
          world.service.place({ address: from, name: 'app', role: PODS.app.role })
          const token = await world.tokenOf(from)
          expect((await world.ask({ target, token, from })).status).toBe(status)
        }
      }
    },
  },
  {
    row: 98,
    does: 'the sequence of the Rust SDK of June 2025',
    async run({ world }) {
      const token = await world.tokenOf(PODS.app.address)
      const list = await world.ask({ target: `${EXTENDED}/`, token })
      const document = await world.ask({ target: `${EXTENDED}/${list.body.toString()}`, token })
      expect(JSON.parse(document.body.toString())).toMatchObject({
        Code: 'Success',
        AccountId: '123456789012',
      })
    },
  },
  {
    row: 99,
    does: '20 KB of headers, a target of 8 KB, and of 40 KB',
    async run({ world }) {
      const big = [['X-Big', 'a'.repeat(20_000)]] as const
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/`, headers: big }), { status: 431 })
      expectAnswer(await world.ask({ target: `/${'a'.repeat(8192)}` }), { status: 414 })
      expectAnswer(await world.ask({ target: `/${'a'.repeat(40_000)}` }), { status: 414 })
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/${'a'.repeat(2100)}` }), { status: 414 })
    },
  },
  {
    row: 99,
    does: 'more headers than Node counts are still all read',
    async run({ world }) {
      const many = Array.from({ length: 2200 }, () => ['a', ''] as const)
      const headers = [...many, ['X-aws-ec2-metadata-token', 'INVALID'] as const]
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/`, headers }), { status: 401 })
    },
  },
  {
    row: 99,
    mode: 'optional',
    does: 'headers that never end: 408, and nobody else waits',
    async run({ open }) {
      const world = await open({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } })
      const { port } = world.listener
      const slow = await dial({ port, from: PODS.other.address })
      slow.write(`GET ${CREDENTIALS}/ HTTP/1.1\r\nHost: a\r\nX-Slow: `)
      const silent = await dial({ port, from: PODS.other.address })
      const body = await dial({ port, from: PODS.other.address })
      body.write(`PUT ${TOKEN_PATH} HTTP/1.1\r\nHost: a\r\n${TTL}: 60\r\nContent-Length: 5\r\n\r\nab`)
      const answers = Promise.all([slow, silent, body].map((socket) => collect(socket)))
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/` }), { status: 200, body: 'app' })
      for (const bytes of await answers) {
        const [answer] = parseAnswers(bytes)
        expect(answer?.status).toBe(408)
      }
    },
  },
  {
    row: 100,
    mode: 'optional',
    does: 'HTTP/1.0 without Host',
    async run({ world }) {
      const bytes = await exchange(`GET ${CREDENTIALS}/ HTTP/1.0\r\n\r\n`, {
        port: world.listener.port,
        from: PODS.app.address,
      })
      const [answer] = parseAnswers(bytes)
      expectAnswer(answer!, { status: 200, body: 'app' })
    },
  },
  {
    row: 100,
    does: 'HTTP/1.1 without Host, or with two',
    async run({ world }) {
      const options = { port: world.listener.port, from: PODS.app.address }
      for (const hosts of ['', 'Host: a\r\nHost: a\r\n']) {
        const [answer] = parseAnswers(await exchange(`GET / HTTP/1.1\r\n${hosts}\r\n`, options))
        expectAnswer(answer!, { status: 400 })
      }
    },
  },
  {
    row: 68,
    does: 'everything else is 403 for an address that is no pod, after the wait where there is something to wait for',
    async run({ open }) {
      const world = await open({ settings: { podWaitMs: 50 } })
      for (const target of [
        '/',
        '/latest/',
        '/latest/meta-data/',
        ZONE,
        '/latest/user-data',
        `${CREDENTIALS}//`,
      ]) {
        expectAnswer(await world.ask({ target, from: STRANGER }), { status: 403 })
      }
      expect(forwarded(world)).toEqual([])
      world.service.list(STRANGER)
      expectAnswer(await world.ask({ target: ZONE, from: STRANGER }), { status: 200, body: 'us-east-1a' })
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/`, from: STRANGER }), { status: 503 })
    },
  },
]
