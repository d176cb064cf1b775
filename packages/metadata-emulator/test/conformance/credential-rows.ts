import { expect } from 'vitest'
import { PODS, STRANGER, type World } from '../support/world.ts'
import { CREDENTIALS, EXTENDED, expectAnswer, forwarded, type Row } from './table.ts'

const IAM = '/latest/meta-data/iam'
const KEYS = ['Code', 'LastUpdated', 'Type', 'AccessKeyId', 'SecretAccessKey', 'Token', 'Expiration']
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
const isDocument = /^\{\n  "Code" : "Success",\n  "LastUpdated" : "/

const roleList = (row: number, target: string, from: string = PODS.app.address, body = 'app'): Row => ({
  row,
  does: `GET ${target}`,
  send: { target, from },
  want: { status: 200, body, ttl: 'left' },
})
const document = (row: number, target: string, from?: string): Row => ({
  row,
  does: `GET ${target}`,
  send: { target, ...(from === undefined ? {} : { from }) },
  want: { status: 200, body: isDocument },
})
const absent = (row: number, target: string, from?: string): Row => ({
  row,
  does: `GET ${target}`,
  send: { target, ...(from === undefined ? {} : { from }) },
  want: { status: 404 },
})
async function documentOf(world: World, target = `${CREDENTIALS}/app`, from: string = PODS.app.address) {
  const token = await world.tokenOf(from)
  const { status, body } = await world.ask({ target, from, token })
  expect(status).toBe(200)
  return { text: body.toString(), fields: JSON.parse(body.toString()) as Record<string, string> }
}

/** 8.3: rows 47 to 79. */
export const credentialRows: readonly Row[] = [
  roleList(47, `${CREDENTIALS}/`),
  roleList(48, CREDENTIALS),
  document(49, `${CREDENTIALS}/app`),
  {
    row: 49,
    does: 'seven keys in order, printed as the metadata service prints',
    async run({ world }) {
      const { text, fields } = await documentOf(world)
      expect(Object.keys(fields)).toEqual(KEYS)
      const line = (key: string, comma: string) => `  "${key}" : ${JSON.stringify(fields[key])}${comma}`
      expect(text).toBe(`{\n${KEYS.map((key, at) => line(key, at < 6 ? ',' : '')).join('\n')}\n}`)
    },
  },
  {
    row: 50,
    does: 'Code and Type',
    async run({ world }) {
      const { fields } = await documentOf(world)
      expect([fields['Code'], fields['Type']]).toEqual(['Success', 'AWS-HMAC'])
    },
  },
  {
    row: 51,
    does: 'whole seconds in UTC whatever TZ says',
    async run({ open }) {
      const zone = process.env['TZ']
      process.env['TZ'] = 'America/New_York'
      try {
        const world = await open()
        const session = world.service.credentialsOf(PODS.app.role)
        const { fields } = await documentOf(world)
        for (const [key, instant] of [
          ['Expiration', session.expiration],
          ['LastUpdated', session.issuedAt],
        ] as const) {
          expect(fields[key]).toMatch(INSTANT)
          expect(Date.parse(fields[key]!)).toBe(Math.floor(instant.getTime() / 1000) * 1000)
        }
      } finally {
        if (zone === undefined) delete process.env['TZ']
        else process.env['TZ'] = zone
      }
    },
  },
  {
    row: 52,
    does: 'the expiration is the session’s own, to the second and not later',
    async run({ world }) {
      const { expiration } = world.service.credentialsOf(PODS.app.role)
      const { fields } = await documentOf(world)
      const served = Date.parse(fields['Expiration']!)
      expect(served).toBeLessThanOrEqual(expiration.getTime())
      expect(served).toBeGreaterThan(expiration.getTime() - 1000)
      expect(served - world.clock.now()).toBeGreaterThan(25 * 60_000)
    },
  },
  {
    row: 52,
    does: 'sessions with less than 25 minutes left are not handed out',
    elsewhere: 'the floor is the broker’s, which owns how old a session may become (credential-broker)',
  },
  {
    row: 53,
    does: 'no RoleArn, and the keys of s3fs once each',
    async run({ world }) {
      const { text } = await documentOf(world)
      expect(text).not.toContain('RoleArn')
      for (const key of ['"AccessKeyId"', '"SecretAccessKey"', '"Token"', '"Expiration"']) {
        expect(text.split(key)).toHaveLength(2)
      }
    },
  },
  document(54, `${CREDENTIALS}/app/`),
  absent(55, `${CREDENTIALS}/other`),
  absent(55, `${CREDENTIALS}/canary-node-role`),
  absent(55, `${CREDENTIALS}/APP`),
  roleList(56, `${CREDENTIALS}/`),
  document(56, `${CREDENTIALS}/team/app`),
  document(56, `${CREDENTIALS}/team/app/`),
  absent(56, `${CREDENTIALS}/wrong/app`),
  document(56, `${CREDENTIALS}/arn:aws:iam::123456789012:role/team/app`),
  document(56, `${CREDENTIALS}/arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteam%2Fapp`),
  document(56, `${CREDENTIALS}/team%2Fapp`),
  document(57, `${CREDENTIALS}/a+b=c,d.e@f-g_h`, PODS.odd.address),
  document(57, `${CREDENTIALS}/a%2Bb%3Dc%2Cd.e%40f-g_h`, PODS.odd.address),
  absent(57, `${CREDENTIALS}/a%20b=c,d.e@f-g_h`, PODS.odd.address),
  absent(57, `${CREDENTIALS}/a%252Bb=c,d.e@f-g_h`, PODS.odd.address),
  {
    row: 58,
    does: 'the document without the list before it',
    async run({ open }) {
      const world = await open()
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/app` }), { status: 200, body: isDocument })
    },
  },
  {
    row: 59,
    does: 'what the list names has a document, for every kind of pod',
    async run({ world }) {
      for (const { address } of Object.values(PODS).filter((pod) => pod.name !== 'slow')) {
        const token = await world.tokenOf(address)
        const list = await world.ask({ target: `${CREDENTIALS}/`, from: address, token })
        if (list.status !== 200) continue
        const role = list.body.toString()
        for (const base of [CREDENTIALS, EXTENDED]) {
          const { status } = await world.ask({ target: `${base}/${role}`, from: address, token })
          expect([role, status]).not.toEqual([role, 404])
        }
      }
    },
  },
  roleList(60, `${EXTENDED}/`),
  roleList(60, EXTENDED),
  absent(60, `${EXTENDED}/`, PODS.plain.address),
  {
    row: 61,
    does: 'the extended document is the other with AccountId',
    async run({ world }) {
      const plain = await documentOf(world)
      const extended = await documentOf(world, `${EXTENDED}/app`)
      expect(Object.keys(extended.fields)).toEqual([...KEYS, 'AccountId'])
      expect(extended.fields).toEqual({ ...plain.fields, AccountId: '123456789012' })
    },
  },
  document(61, `${EXTENDED}/app/`),
  absent(61, `${EXTENDED}/other`),
  roleList(62, `${IAM}/`, PODS.app.address, 'info\nsecurity-credentials/'),
  absent(62, `${IAM}/`, PODS.plain.address),
  roleList(63, IAM, PODS.app.address, 'info\nsecurity-credentials/'),
  {
    row: 64,
    does: 'iam/info names a profile of the pod’s role and account',
    async run({ world }) {
      for (const target of [`${IAM}/info`, `${IAM}/info/`]) {
        const { fields } = await documentOf(world, target)
        expect(Object.keys(fields)).toEqual([
          'Code',
          'LastUpdated',
          'InstanceProfileArn',
          'InstanceProfileId',
        ])
        expect(fields['Code']).toBe('Success')
        expect(fields['LastUpdated']).toMatch(INSTANT)
        expect(fields['InstanceProfileArn']).toBe('arn:aws:iam::123456789012:instance-profile/app')
        expect(fields['InstanceProfileId']).toMatch(/^AIPA[A-Z2-7]{17}$/)
      }
      expect(forwarded(world)).toEqual([])
    },
  },
  ...[
    'anything-else',
    'info/x',
    'security-credentialsx',
    'security-credentials-extendedx/app',
    'roles/app',
  ].map((child) => absent(65, `${IAM}/${child}`)),
  absent(66, CREDENTIALS, PODS.plain.address),
  absent(66, `${CREDENTIALS}/`, PODS.plain.address),
  absent(66, `${CREDENTIALS}/`, PODS.forbidden.address),
  ...['', '/', '/info', '/security-credentials/app', '/security-credentials-extended/app'].map((below) =>
    absent(67, `${IAM}${below}`, PODS.plain.address),
  ),
  {
    row: 68,
    mode: 'optional',
    does: 'an unknown address waits for its pod and gets 503',
    async run({ open }) {
      const world = await open()
      const targets = [`${CREDENTIALS}/`, `${CREDENTIALS}/app`, `${EXTENDED}/`, `${IAM}/info`]
      const asked = performance.now()
      const answers = await Promise.all(targets.map((target) => world.ask({ target, from: STRANGER })))
      expect(performance.now() - asked).toBeGreaterThan(850)
      for (const answer of answers) expectAnswer(answer, { status: 503 })
    },
  },
  {
    row: 68,
    does: 'a pod that appears meanwhile is answered when it appears',
    async run({ open }) {
      const world = await open({ settings: { podWaitMs: 60_000 } })
      const answer = world.ask({ target: `${CREDENTIALS}/`, from: STRANGER })
      while (world.listener.connections === 0) await new Promise((resolve) => setImmediate(resolve))
      await world.clock.sleep(20)
      world.service.place({ address: STRANGER, name: 'late', role: PODS.other.role })
      expectAnswer(await answer, { status: 200, body: 'other' })
    },
  },
  {
    row: 69,
    does: 'a permanent refusal is a document that names role and pod',
    async run({ world }) {
      for (const base of [CREDENTIALS, EXTENDED]) {
        const { fields, text } = await documentOf(world, `${base}/denied`, PODS.denied.address)
        expect(Object.keys(fields)).toEqual(['Code', 'Message', 'LastUpdated'])
        expect(fields['Code']).toBe('AssumeRoleUnauthorizedAccess')
        expect(fields['Message']).toContain(PODS.denied.role)
        expect(fields['Message']).toContain('default/denied')
        expect(text).not.toContain('ASIA')
      }
    },
  },
  {
    row: 69,
    does: 'or an empty 403, by option',
    async run({ open }) {
      const world = await open({ settings: { deniedAnswer: 'forbidden' } })
      const answer = await world.ask({ target: `${CREDENTIALS}/denied`, from: PODS.denied.address })
      expectAnswer(answer, { status: 403 })
    },
  },
  {
    row: 69,
    does: 'a refused role is asked for again at most once in its back-off window',
    elsewhere: 'the memory of refusals is the broker’s (credential-broker)',
  },
  {
    row: 70,
    does: 'STS is down and a session is held',
    elsewhere: 'keeping sessions through an outage is the broker’s; here row 72 shows what a dead one gets',
  },
  {
    row: 71,
    // No time is asserted, as in row 25: whether STS has failed already is the broker's to know, and that it then answers
    // at once is a test of credential-broker in virtual time. Here its refusal is passed on.
    does: 'no session can be had: 503 (no time is asserted)',
    send: { target: `${CREDENTIALS}/broken`, from: PODS.broken.address },
    want: { status: 503 },
  },
  {
    row: 71,
    mode: 'optional',
    does: 'a call that stays in flight is waited for as long as row 68 says',
    async run({ open }) {
      const world = await open()
      const asked = performance.now()
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/slow`, from: PODS.slow.address }), {
        status: 503,
      })
      expect(performance.now() - asked).toBeGreaterThan(850)
    },
  },
  {
    row: 72,
    does: 'a session that is over is never served',
    async run({ open }) {
      const world = await open()
      await documentOf(world)
      world.clock.shift(3_600_001)
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/app` }), { status: 503 })
    },
  },
  {
    row: 73,
    does: 'STS says RegionDisabled or ExpiredToken',
    elsewhere: 'retrying elsewhere is the broker’s; what is left over arrives here as row 71',
  },
  {
    row: 74,
    does: '50 parallel first requests get one and the same session',
    async run({ open }) {
      const world = await open()
      const target = `${CREDENTIALS}/app`
      const answers = await Promise.all(Array.from({ length: 50 }, () => world.ask({ target })))
      expect(new Set(answers.map((one) => one.body.toString())).size).toBe(1)
    },
  },
  {
    row: 74,
    does: 'and STS one call',
    elsewhere: 'one call for many callers is the broker’s single flight (credential-broker)',
  },
  {
    row: 75,
    does: 'two requests later are the same document',
    async run({ open }) {
      const world = await open()
      const first = await documentOf(world)
      world.clock.shift(1000)
      expect((await documentOf(world)).text).toBe(first.text)
    },
  },
  {
    row: 76,
    does: 'a warm pod is answered without a word to the instance',
    async run({ open }) {
      const world = await open()
      await documentOf(world)
      await documentOf(world)
      expect(world.instance.requests).toEqual([])
    },
  },
  {
    row: 76,
    does: 'in less than 50 ms at p99',
    elsewhere: 'time is measured in bench/, against a bare server in the same run, not asserted in a test',
  },
  {
    row: 77,
    does: 'every error below iam/ is empty text with the header block',
    async run({ world }) {
      for (const [target, from] of [
        [`${CREDENTIALS}/other`, PODS.app.address],
        [`${IAM}/else`, PODS.app.address],
        [`${CREDENTIALS}/`, PODS.plain.address],
        [`${CREDENTIALS}/`, PODS.forbidden.address],
        [`${CREDENTIALS}/broken`, PODS.broken.address],
        [`${CREDENTIALS}/%ff`, PODS.app.address],
      ] as const) {
        const answer = await world.ask({ target, from, token: await world.tokenOf(from) })
        expect(answer.status).toBeGreaterThan(400)
        expectAnswer(answer, { status: answer.status, body: '' })
      }
    },
  },
  roleList(78, '/2009-04-04/meta-data/iam/security-credentials/'),
  roleList(78, '/1.0/meta-data/iam/security-credentials'),
  document(78, '/2021-03-23/meta-data/iam/security-credentials/app'),
  roleList(78, '/9999-99-99/meta-data/iam/security-credentials/'),
  document(78, '/9999-99-99/meta-data/iam/security-credentials/app'),
  ...[
    '',
    '/',
    '/meta-data',
    '/meta-data/',
    '/meta-data/placement/region',
    '/meta-data/spot/instance-action',
  ].map((below) => absent(79, `/2021-03-24${below}`)),
  {
    row: 79,
    does: 'a date that is no version is not asked of the instance, whatever is allowed',
    async run({ open }) {
      const world = await open({ allow: ['kube2iam'] })
      for (const below of ['', '/meta-data/', '/meta-data/spot/instance-action', '/user-data', '/dynamic']) {
        expectAnswer(await world.ask({ target: `/2021-03-24${below}` }), { status: 404 })
      }
      expect(forwarded(world)).toEqual([])
    },
  },
  ...['1', 'LATEST', 'Latest', '2021-03', '2021-03-23x', 'v1', '1.1'].flatMap((version) => [
    absent(79, `/${version}/meta-data/iam/security-credentials/`),
    absent(79, `/${version}/meta-data/iam/security-credentials/app`),
  ]),
]
