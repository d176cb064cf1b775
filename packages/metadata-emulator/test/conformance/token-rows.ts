import { expect } from 'vitest'
import { collect, dial, exchange, parseAnswers } from '../support/raw-client.ts'
import { PODS, STRANGER } from '../support/world.ts'
import { CREDENTIALS, expectAnswer, type Row, TOKEN_PATH, TTL } from './table.ts'

const TOKEN = /^[A-Za-z0-9_\-=]{1,1024}$/
const put = (...headers: [string, string][]) => ({
  method: 'PUT',
  target: TOKEN_PATH,
  headers,
  token: 'none',
})
const badTtl = (row: number, does: string, ttl: string): Row => ({
  row,
  does,
  send: put([TTL, ttl]),
  want: { status: 400 },
})
const notAllowed = (row: number, method: string): Row => ({
  row,
  does: `${method} on the token path`,
  send: { method, target: TOKEN_PATH, token: 'none' },
  want: { status: 405, allow: 'OPTIONS, PUT' },
})

/** 8.1: rows 1 to 28. */
export const tokenRows: readonly Row[] = [
  {
    row: 1,
    does: 'PUT with ttl 21600, without body and Content-Length',
    send: put([TTL, '21600']),
    want: { status: 200, body: TOKEN, ttl: '21600' },
  },
  { row: 2, does: 'ttl 1', send: put([TTL, '1']), want: { status: 200, body: TOKEN, ttl: '1' } },
  {
    row: 3,
    does: 'Content-Length: 0',
    send: put([TTL, '60'], ['Content-Length', '0']),
    want: { status: 200, body: TOKEN, ttl: '60' },
  },
  {
    row: 4,
    does: 'chunked, empty',
    send: { ...put([TTL, '60'], ['Transfer-Encoding', 'chunked']), body: '0\r\n\r\n' },
    want: { status: 200, body: TOKEN },
  },
  {
    row: 5,
    does: 'a body, which is ignored',
    send: { ...put([TTL, '60'], ['Content-Length', '3']), body: 'abc' },
    want: { status: 200, body: TOKEN },
  },
  {
    row: 6,
    does: 'the header name in lower case',
    send: put([TTL.toLowerCase(), '60']),
    want: { status: 200, body: TOKEN },
  },
  {
    row: 7,
    does: 'two PUTs give two tokens, both valid',
    async run({ world }) {
      const tokens = [await world.tokenOf(PODS.app.address), await world.tokenOf(PODS.app.address)]
      expect(tokens[0]).not.toBe(tokens[1])
      for (const token of tokens) {
        expectAnswer(await world.ask({ target: `${CREDENTIALS}/`, token }), { status: 200, body: 'app' })
      }
    },
  },
  { row: 8, does: 'no TTL header', send: put(), want: { status: 400 } },
  badTtl(9, 'ttl 0', '0'),
  badTtl(10, 'ttl -1', '-1'),
  badTtl(11, 'ttl 21601', '21601'),
  badTtl(12, 'ttl abc', 'abc'),
  badTtl(13, 'ttl empty', ''),
  badTtl(14, 'ttl 60.5', '60.5'),
  badTtl(14, 'ttl 0x10', '0x10'),
  badTtl(14, 'ttl 1e3', '1e3'),
  badTtl(14, 'ttl +60', '+60'),
  badTtl(14, 'ttl with an inner space', '6 0'),
  badTtl(14, 'ttl in other digits', '٦٠'),
  { row: 15, does: 'two TTL headers', send: put([TTL, '60'], [TTL, '60']), want: { status: 400 } },
  {
    row: 16,
    does: 'X-Forwarded-For',
    send: put([TTL, '60'], ['X-Forwarded-For', '1.2.3.4']),
    want: { status: 403 },
  },
  {
    row: 17,
    does: 'an empty X-Forwarded-For',
    send: put([TTL, '60'], ['X-Forwarded-For', '']),
    want: { status: 403 },
  },
  notAllowed(18, 'GET'),
  notAllowed(19, 'POST'),
  notAllowed(19, 'DELETE'),
  notAllowed(20, 'HEAD'),
  {
    row: 21,
    does: 'a slash behind the path (ohai)',
    send: { ...put([TTL, '60']), target: `${TOKEN_PATH}/` },
    want: { status: 200, body: TOKEN, ttl: '60' },
  },
  {
    row: 22,
    does: 'a dated version',
    send: { ...put([TTL, '60']), target: '/2021-03-23/api/token' },
    want: { status: 403 },
  },
  { row: 23, does: 'GET /latest/api', send: { target: '/latest/api' }, want: { status: 404 } },
  { row: 23, does: 'GET /latest/api/', send: { target: '/latest/api/' }, want: { status: 404 } },
  {
    row: 24,
    does: 'Expect: 100-continue is answered 100, then 200, without a body to wait for',
    async run({ world }) {
      const request = `PUT ${TOKEN_PATH} HTTP/1.1\r\nHost: a\r\n${TTL}: 60\r\nExpect: 100-continue\r\n\r\n`
      const bytes = await exchange(request, { port: world.listener.port, from: PODS.app.address })
      const answers = parseAnswers(bytes)
      expect(answers.map((one) => one.status)).toEqual([100, 200])
    },
  },
  {
    row: 25,
    // No time is asserted: a machine that others use too can be slow. A token waits for nothing, as rows 27 and 28 show.
    does: '100 PUTs at once are all answered (no time is asserted)',
    async run({ world }) {
      const tokens = await Promise.all(Array.from({ length: 100 }, () => world.tokenOf(PODS.app.address)))
      expect(new Set(tokens).size).toBe(100)
      for (const token of tokens) expect(token).toMatch(TOKEN)
    },
  },
  {
    row: 26,
    does: 'a pod without a role gets a token',
    send: { ...put([TTL, '60']), from: PODS.plain.address },
    want: { status: 200, body: TOKEN },
  },
  {
    row: 26,
    does: 'an address that is no pod yet gets one at once, which its first pod may use',
    async run({ open }) {
      const world = await open()
      const token = await world.tokenOf(STRANGER)
      world.service.place({ address: STRANGER, name: 'late', role: PODS.other.role })
      const answer = await world.ask({ target: `${CREDENTIALS}/`, from: STRANGER, token })
      expectAnswer(answer, { status: 200, body: 'other', ttl: 'left' })
    },
  },
  {
    row: 26,
    does: 'such a token is no use to a pod that came later than a minute, or was made after it',
    async run({ open }) {
      const world = await open()
      const token = await world.tokenOf(STRANGER)
      const now = world.clock.now()
      const ask = () => world.ask({ target: `${CREDENTIALS}/`, from: STRANGER, token })
      world.service.place({ address: STRANGER, name: 'late', role: PODS.other.role, boundAt: now + 61_000 })
      expectAnswer(await ask(), { status: 401 })
      world.service.place({ address: STRANGER, name: 'young', role: PODS.other.role, createdAt: now + 5000 })
      expectAnswer(await ask(), { status: 401 })
    },
  },
  {
    row: 27,
    does: 'a token while nothing else answers',
    async run({ open }) {
      const world = await open()
      const down = () => Promise.reject(new Error('the rest of the agent is down'))
      Object.assign(world.service, { roleFor: down, credentialsFor: down, waitForCaller: down })
      expect(await world.tokenOf(PODS.app.address)).toMatch(TOKEN)
    },
  },
  {
    row: 28,
    does: 'a token while the real metadata service is down, and without asking it',
    async run({ open }) {
      const world = await open()
      world.instance.faults.down = true
      expect(await world.tokenOf(PODS.app.address)).toMatch(TOKEN)
      expect(world.instance.requests).toEqual([])
    },
  },
  {
    row: 25,
    does: 'a client that sends nothing does not delay those that do',
    async run({ world }) {
      const silent = await dial({ port: world.listener.port, from: PODS.other.address })
      const closed = collect(silent, 200)
      expect(await world.tokenOf(PODS.app.address)).toMatch(TOKEN)
      await closed
    },
  },
]
