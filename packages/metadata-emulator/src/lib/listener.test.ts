import { connect } from 'node:net'
import { parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { collectReports } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { collect, dial, exchange, parseAnswers } from '../../test/support/raw-client.ts'
import type { EmulatorEvent, EmulatorRequest, Handler, Reply } from '../index.ts'
import { type Listener, type ListenOptions, listen } from '../node.ts'

const POD = '127.44.0.7'
const OTHER = '127.44.0.8'
const ok = (body = 'ok'): Reply => ({
  status: 200,
  headers: ['Connection', 'close', 'Content-Type', 'text/plain', 'Content-Length', String(body.length)],
  body: Buffer.from(body),
})

let opened: Listener[] = []
let asked: EmulatorRequest[] = []
let reports = collectReports<EmulatorEvent>()

beforeEach(() => {
  opened = []
  asked = []
  reports = collectReports<EmulatorEvent>()
})
afterEach(async () => {
  await Promise.all(opened.map((one) => one.close()))
})

async function open(
  options: Partial<ListenOptions> = {},
  answer: Handler = async () => ok(),
): Promise<Listener> {
  const handler: Handler = (request) => {
    asked.push(request)
    return answer(request)
  }
  const listener = await listen({
    handler,
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    report: reports.report,
    ...options,
  })
  opened.push(listener)
  return listener
}

/** Whole: only the name of the coding is wrong. */
const coded = (coding: string) =>
  `GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`
const GET = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}
const rejections = () => reports.events.filter((one) => one.kind === 'rejected').map((one) => one.reason)
const statusOf = (bytes: Buffer) => parseAnswers(bytes).map((one) => one.status)

describe('who asks', () => {
  test('is the address of the socket, and no header', async () => {
    const { port } = await open()
    const spoofed = 'GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n'
    await exchange(spoofed, { port, from: POD })
    expect(asked.map((one) => one.peer)).toEqual([POD])
  })

  test('is canonical: an IPv4 pod at a dual-stack listener is its IPv4 address', async () => {
    const { port } = await open({ host: '::' })
    await exchange(GET, { port, from: POD })
    expect(asked.map((one) => one.peer)).toEqual([parseIpAddress(POD)])
  })

  test('over IPv6 is the IPv6 address, and the URL has brackets', async () => {
    const listener = await open({ host: '::1' })
    expect(listener.url).toBe(`http://[::1]:${listener.port}`)
    await exchange(GET, { port: listener.port, host: '::1' })
    expect(asked.map((one) => one.peer)).toEqual(['::1'])
  })
})

describe('what is no request', () => {
  const refused: [string, string, number][] = [
    ['Content-Length with Transfer-Encoding', 'Content-Length: 5\r\nTransfer-Encoding: chunked', 400],
    ['Transfer-Encoding with Content-Length', 'Transfer-Encoding: chunked\r\nContent-Length: 5', 400],
    ['two lengths', 'Content-Length: 0\r\nContent-Length: 5', 400],
    ['an unknown transfer coding', 'Transfer-Encoding: xchunked', 400],
    ['a folded header', 'X-A: b\r\n c: d', 400],
    ['a bare LF', 'X-A: b\nX-C: d', 400],
    ['a bare CR', 'X-A: b\rX-C: d', 400],
    ['a space before the colon', 'X-A : b', 400],
    ['a NUL', 'X-A: \0', 400],
    ['a second Host', 'Host: b', 400],
    ['another protocol', 'Connection: Upgrade\r\nUpgrade: websocket', 400],
    ['an expectation that nobody has', 'Expect: the-unexpected', 417],
  ]
  test.each(refused)('%s is refused, and what hides behind it is not read', async (_what, header, status) => {
    const { port } = await open()
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n'
    const bytes = await exchange(`GET /x HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n${hidden}`, {
      port,
      from: POD,
    })
    expect(statusOf(bytes)).toEqual([status])
    expect(asked).toEqual([])
    expect(rejections()).toHaveLength(1)
  })

  test.each([
    ['CONNECT in authority form', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['CONNECT with a path', 'CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['authority form', 'GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['no slash', 'GET x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a method in lower case', 'get /x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['an unknown method', 'FOO /x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['HTTP/1.2', 'GET /x HTTP/1.2\r\nHost: a\r\n\r\n', 400],
    ['a version that is not spoken', 'GET /x HTTP/2.0\r\nHost: a\r\n\r\n', 400],
    ['no version', 'GET /x\r\n\r\n', 400],
    ['a version before 1.0', 'GET /x HTTP/0.9\r\n\r\n', 400],
    ['a transfer coding before chunked', coded('gzip, chunked'), 400],
    ['a transfer coding that is none', coded('identity, chunked'), 400],
    ['chunked twice', coded('chunked\r\nTransfer-Encoding: chunked'), 400],
    ['chunked in another spelling', coded('Chunked'), 400],
    ['chunked in HTTP/1.0', 'PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['a raw byte in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ])('%s', async (_what, request, status) => {
    const { port } = await open()
    expect(statusOf(await exchange(request, { port, from: POD }))).toEqual([status])
    expect(asked).toEqual([])
  })

  test('an upgrade to h2c is ignored, as RFC 9110 allows: Java and curl offer it on first requests', async () => {
    const { port } = await open()
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'
    const bytes = await exchange(`GET /x HTTP/1.1\r\nHost: a\r\n${offer}\r\n\r\n`, { port, from: POD })
    expect(statusOf(bytes)).toEqual([200])
  })

  test('of requests sent at once only the first is answered, and the connection closed', async () => {
    const { port } = await open()
    const bytes = await exchange(GET + GET + GET, { port, from: POD })
    expect(statusOf(bytes)).toEqual([200])
    expect(asked).toHaveLength(1)
  })

  test('a body that is too long is 413, and the client gets to read that', async () => {
    const { port } = await open({ limits: { bodyBytes: 1000 } })
    const body = 'a'.repeat(300_000)
    const put = `PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    expect(statusOf(await exchange(put, { port, from: POD }))).toEqual([413])
    expect(asked).toEqual([])
    expect(rejections()).toEqual(['body-too-large'])
  })
})

describe('connections', () => {
  test('of one pod are limited, and another pod does not notice', async () => {
    const listener = await open({ limits: { connectionsPerPeer: 3 } })
    const { port } = listener
    const held = await Promise.all([1, 2, 3].map(() => dial({ port, from: POD })))
    await until(() => listener.connections === 3)
    expect(statusOf(await exchange(GET, { port, from: POD }))).toEqual([503])
    expect(rejections()).toEqual(['too-many-connections-of-peer'])
    expect(statusOf(await exchange(GET, { port, from: OTHER }))).toEqual([200])
    held[0]!.destroy()
    await until(() => listener.connections === 2)
    expect(statusOf(await exchange(GET, { port, from: POD }))).toEqual([200])
    for (const socket of held) socket.destroy()
    await until(() => listener.connections === 0)
  })

  test('that were refused and do not close are limited too: those beyond get no answer', async () => {
    const listener = await open({ limits: { connectionsPerPeer: 1, refusedConnections: 2 } })
    const { port } = listener
    const held = await dial({ port, from: POD })
    await until(() => listener.connections === 1)
    const clients = Array.from({ length: 5 }, () =>
      connect({ port, host: '127.0.0.1', localAddress: POD, allowHalfOpen: true }),
    )
    const answers = await Promise.all(
      clients.map(async (socket) => Buffer.concat((await socket.toArray()) as Buffer[]).length > 0),
    )
    expect(answers.filter(Boolean)).toHaveLength(2)
    expect(rejections()).toHaveLength(5)
    for (const socket of [held, ...clients]) socket.destroy()
  })

  test('of all together are limited', async () => {
    const listener = await open({ limits: { connections: 1 } })
    const held = await dial({ port: listener.port, from: POD })
    await until(() => listener.connections === 1)
    expect(statusOf(await exchange(GET, { port: listener.port, from: OTHER }))).toEqual([503])
    expect(rejections()).toEqual(['too-many-connections'])
    held.destroy()
  })

  test('that say nothing end with 408', async () => {
    const { port } = await open({ limits: { headersTimeoutMs: 100, requestTimeoutMs: 200 } })
    expect(statusOf(await collect(await dial({ port, from: POD })))).toEqual([408])
    expect(rejections()).toEqual(['timeout'])
  })

  test('that do not read their answer are cut', async () => {
    const big = Buffer.alloc(8_000_000, 'a')
    const headers = ['Connection', 'close', 'Content-Length', String(big.length)]
    const listener = await open({ limits: { idleTimeoutMs: 150 } }, async () => ({
      status: 200,
      headers,
      body: big,
    }))
    const deaf = await dial({ port: listener.port, from: POD })
    deaf.on('error', () => {})
    deaf.pause()
    deaf.write(GET)
    await until(() => asked.length === 1)
    await until(() => listener.connections === 0)
    deaf.destroy()
  })
})

describe('a handler', () => {
  test('is told when the client hangs up', async () => {
    let waiting: AbortSignal | undefined
    const { port } = await open({}, (request) => {
      waiting = request.signal
      return new Promise((resolve) => waiting?.addEventListener('abort', () => resolve(ok()), { once: true }))
    })
    const socket = await dial({ port, from: POD })
    socket.write(GET)
    await until(() => waiting !== undefined)
    expect(waiting?.aborted).toBe(false)
    socket.destroy()
    await until(() => waiting?.aborted === true)
  })

  test('whose reply HTTP cannot carry costs one answer, and is told', async () => {
    const headers = ['X-Bad', 'a\nb']
    const { port } = await open({}, async () => ({ status: 200, headers, body: Buffer.alloc(0) }))
    expect((await exchange(GET, { port, from: POD })).length).toBe(0)
    expect(reports.events.map((one) => one.kind)).toEqual(['bug'])
  })
})

test('an address that is taken is an error that names it', async () => {
  const { port } = await open()
  await expect(open({ port })).rejects.toMatchObject({ code: 'EADDRINUSE', port })
})
