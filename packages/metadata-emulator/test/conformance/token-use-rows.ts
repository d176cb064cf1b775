import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@kube2iam-ts/core'
import { expect } from 'vitest'
import { openTokenKeyDirectory } from '../../src/node.ts'
import { PODS } from '../support/world.ts'
import { CREDENTIALS, expectAnswer, forwarded, type Row } from './table.ts'

const DOCUMENT = `${CREDENTIALS}/app`
const withoutToken = (row: number, target: string): Row => ({
  row,
  mode: 'required',
  does: `${target} without a token`,
  send: { target, token: 'none' },
  want: { status: 401, ttl: 'absent' },
})
const withInvalid = (target: string): Row => ({
  row: 32,
  does: `${target} with the token INVALID`,
  send: { target, token: 'INVALID' },
  want: { status: 401, ttl: 'absent' },
})
const otherMethod = (method: string): Row => ({
  row: 46,
  does: `${method} on a metadata path`,
  send: { method, target: '/latest/meta-data/placement/region' },
  want: { status: 405, allow: 'GET, HEAD' },
})

/** 8.2: rows 29 to 46. */
export const tokenUseRows: readonly Row[] = [
  withoutToken(29, '/latest/meta-data/'),
  ...['/', '/latest/', '/latest/user-data', `${CREDENTIALS}/`, DOCUMENT].map((path) =>
    withoutToken(30, path),
  ),
  {
    row: 31,
    mode: 'optional',
    does: 'the role list without a token',
    send: { target: `${CREDENTIALS}/`, token: 'none' },
    want: { status: 200, body: 'app', ttl: 'absent' },
  },
  ...['/', '/latest/', `${CREDENTIALS}/`, DOCUMENT, '/latest/user-data', '/nonsense'].map(withInvalid),
  {
    row: 33,
    mode: 'optional',
    does: 'GET / lists versions, latest last',
    send: { target: '/', token: 'none' },
    want: { status: 200, body: /^1\.0\n(?:\d{4}-\d\d-\d\d\n)+latest$/ },
  },
  {
    row: 34,
    mode: 'required',
    does: 'an empty token header',
    send: { target: `${CREDENTIALS}/`, token: '' },
    want: { status: 401 },
  },
  {
    row: 34,
    mode: 'optional',
    does: 'an empty token header is a bad token and no missing one',
    send: { target: `${CREDENTIALS}/`, token: '' },
    want: { status: 401 },
  },
  ...['/', '/latest/', '/latest/meta-data/', `${CREDENTIALS}/`, DOCUMENT, '/latest/meta-data/iam/info'].map(
    (target): Row => ({
      row: 35,
      does: `${target} names what the token has left`,
      send: { target },
      want: { status: 200, ttl: 'left' },
    }),
  ),
  {
    row: 35,
    does: 'what is left counts down',
    async run({ open }) {
      const world = await open()
      const token = await world.tokenOf(PODS.app.address, '100')
      world.clock.shift(40_000)
      const left = (await world.ask({ target: '/', token })).header('x-aws-ec2-metadata-token-ttl-seconds')
      expect(Number(left)).toSatisfy((seconds: number) => seconds === 59 || seconds === 60)
    },
  },
  {
    row: 36,
    does: 'a token of one second, after two',
    async run({ open }) {
      const world = await open()
      const token = await world.tokenOf(PODS.app.address, '1')
      expectAnswer(await world.ask({ target: '/', token }), { status: 200 })
      world.clock.shift(2000)
      expectAnswer(await world.ask({ target: '/', token }), { status: 401 })
    },
  },
  {
    row: 37,
    does: "another pod's token",
    async run({ world }) {
      const token = await world.tokenOf(PODS.app.address)
      expectAnswer(await world.ask({ target: '/', token, from: PODS.other.address }), { status: 401 })
    },
  },
  {
    row: 38,
    does: 'a token after its address went to another pod',
    async run({ open }) {
      const world = await open()
      const token = await world.tokenOf(PODS.app.address)
      world.service.place({ address: PODS.app.address, name: 'successor', role: PODS.other.role })
      expectAnswer(await world.ask({ target: `${CREDENTIALS}/`, token }), { status: 401 })
    },
  },
  {
    row: 39,
    does: 'a token from before the agent was restarted',
    async run({ open }) {
      const directory = mkdtempSync(join(tmpdir(), 'token-keys-'))
      try {
        const before = await open({ tokenKeys: openTokenKeyDirectory({ directory, clock: systemClock }) })
        const token = await before.tokenOf(PODS.app.address)
        await before.close()
        const after = await open({ tokenKeys: openTokenKeyDirectory({ directory, clock: systemClock }) })
        expectAnswer(await after.ask({ target: `${CREDENTIALS}/`, token }), { status: 200, body: 'app' })
      } finally {
        rmSync(directory, { recursive: true })
      }
    },
  },
  {
    row: 40,
    does: 'a bit of each byte of a token flipped',
    async run({ open }) {
      const world = await open()
      const token = Buffer.from(await world.tokenOf(PODS.app.address), 'base64url')
      for (let bit = 0; bit < token.length * 8; bit += 9) {
        const flipped = Buffer.from(token)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        const answer = await world.ask({ target: '/', token: flipped.toString('base64url') })
        expect([bit, answer.status]).toEqual([bit, 401])
      }
      expectAnswer(await world.ask({ target: '/', token: token.toString('base64url') }), { status: 200 })
    },
  },
  {
    row: 41,
    does: 'a token with X-Forwarded-For',
    send: { target: `${CREDENTIALS}/`, headers: [['X-Forwarded-For', '1.2.3.4']] },
    want: { status: 403 },
  },
  {
    row: 42,
    mode: 'optional',
    does: 'X-Forwarded-For without a token',
    send: { target: `${CREDENTIALS}/`, headers: [['X-Forwarded-For', '1.2.3.4']], token: 'none' },
    want: { status: 200, body: 'app' },
  },
  {
    row: 43,
    mode: 'optional',
    does: 'no header of a pod reaches the instance, its token least of all',
    async run({ open }) {
      const world = await open()
      const names = ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP', 'Cookie', 'X-Anything', 'Range']
      const target = '/latest/meta-data/spot/instance-action'
      const another = '/latest/meta-data/spot/termination-time'
      await world.ask({ target, headers: names.map((name) => [name, 'from-the-pod'] as const) })
      const token = await world.tokenOf(PODS.app.address)
      await world.ask({ target: another, token })
      expect(forwarded(world)).toEqual([target, another])
      for (const { headers } of world.instance.requests) {
        expect(JSON.stringify(headers)).not.toContain('from-the-pod')
        expect(JSON.stringify(headers)).not.toContain(token)
        expect(headers['host']).toMatch(/^127\.0\.0\.1:/)
      }
    },
  },
  {
    row: 44,
    does: 'the instance refuses the agent’s token, and the pod does not see it',
    async run({ open }) {
      const world = await open()
      const target = '/latest/meta-data/events/maintenance/history'
      const token = await world.tokenOf(PODS.app.address)
      expectAnswer(await world.ask({ target, token }), { status: 200, body: '[]' })
      world.instance.faults.unauthorized = 1
      const another = '/latest/meta-data/placement/region'
      expectAnswer(await world.ask({ target: another, token }), { status: 200, body: 'us-east-1' })
      expect(world.instance.requests.map((one) => one.status)).toEqual([200, 200, 401, 200, 200])
    },
  },
  ...['/', `${CREDENTIALS}/`, DOCUMENT, '/latest/meta-data/placement/region'].map(
    (target): Row => ({
      row: 45,
      does: `HEAD ${target} has the headers of GET and no body`,
      async run({ world }) {
        const token = await world.tokenOf(PODS.app.address)
        const get = await world.ask({ target, token })
        const head = await world.ask({ target, token, method: 'HEAD' })
        expect(head.body.length).toBe(0)
        const comparable = (answer: typeof get) =>
          answer.headers.filter(([name]) => !/^date$|ttl/i.test(name))
        expect([head.status, comparable(head)]).toEqual([get.status, comparable(get)])
      },
    }),
  ),
  ...['OPTIONS', 'POST', 'DELETE', 'PUT', 'PATCH', 'TRACE', 'PROPFIND', 'PURGE'].map(otherMethod),
]
