import { systemClock } from '@kube2iam-ts/core'
import { afterEach, expect, test } from 'vitest'
import type { Handler } from '../src/index.ts'
import { type Listener, listen } from '../src/node.ts'
import { collect, dial, exchange, parseAnswers } from './support/raw-client.ts'

const GET = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'
const FROM = '127.44.0.7'
const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})

async function start(name: string, port = 0, delayMs = 0): Promise<Listener> {
  const handler: Handler = async () => {
    if (delayMs > 0) await systemClock.sleep(delayMs)
    const headers = ['Connection', 'close', 'Content-Length', String(name.length)]
    return { status: 200, headers, body: Buffer.from(name) }
  }
  const one = await listen({
    handler,
    host: '127.0.0.1',
    port,
    reusePort: true,
    clock: systemClock,
    report: () => {},
  })
  open.push(one)
  return one
}
const bodyOf = (bytes: Buffer) => parseAnswers(bytes).map((one) => one.body.toString())
const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code
/** The kernel refuses new connections: the listener is closed, whatever it still owes. */
const untilRefused = async (port: number) => {
  for (;;) {
    try {
      ;(await dial({ port, from: '127.44.0.8' })).destroy()
    } catch (error) {
      // One that waited to be accepted is reset.
      if (isCode(error, 'ECONNRESET')) continue
      expect(error).toMatchObject({ code: 'ECONNREFUSED' })
      return
    }
  }
}
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

test('a request under way is answered while the listener closes', async () => {
  const one = await start('old', 0, 100)
  const answer = exchange(GET, { port: one.port, from: FROM })
  await until(() => one.connections === 1)
  await one.close({ drainMs: 5000 })
  expect(bodyOf(await answer)).toEqual(['old'])
})

test('a connection that was open before may still ask while the listener drains', async () => {
  const one = await start('old')
  const socket = await dial({ port: one.port, from: FROM })
  await until(() => one.connections === 1)
  const closed = one.close({ drainMs: 30_000 })
  await untilRefused(one.port)
  const answer = collect(socket)
  socket.write(GET)
  expect(bodyOf(await answer)).toEqual(['old'])
  await closed
})

test('what is still open when the drain is over is cut, and close resolves', async () => {
  const one = await start('old')
  const socket = await dial({ port: one.port, from: FROM })
  await until(() => one.connections === 1)
  const answer = collect(socket)
  const asked = performance.now()
  await one.close({ drainMs: 100 })
  expect(performance.now() - asked).toBeGreaterThan(95)
  expect((await answer).length).toBe(0)
})

test('nobody is let in while it drains', async () => {
  const one = await start('old')
  const socket = await dial({ port: one.port, from: FROM })
  await until(() => one.connections === 1)
  const closed = one.close({ drainMs: 30_000 })
  await untilRefused(one.port)
  expect(one.connections).toBe(1)
  socket.destroy()
  await closed
})

test('a new listener takes over from an old one, three times, and no request fails', async () => {
  let current = await start('0')
  const { port } = current
  const seen = new Map<string, number>()
  const failures: string[] = []
  const stopped = new AbortController()
  const client = async () => {
    while (!stopped.signal.aborted) {
      const bytes = await exchange(GET, { port, from: FROM }).catch((error: Error) =>
        Buffer.from(error.message),
      )
      const [body] = bytes.toString().startsWith('HTTP/1.1 200') ? bodyOf(bytes) : []
      if (body === undefined) failures.push(bytes.toString())
      else seen.set(body, (seen.get(body) ?? 0) + 1)
      await systemClock.sleep(5)
    }
  }
  const clients = [client(), client(), client()]
  for (const name of ['1', '2', '3']) {
    await until(() => (seen.get(String(Number(name) - 1)) ?? 0) > 20)
    const next = await start(name, port)
    await until(() => (seen.get(name) ?? 0) > 0)
    await current.close({ drainMs: 2000 })
    current = next
  }
  await until(() => (seen.get('3') ?? 0) > 20)
  stopped.abort()
  await Promise.all(clients)
  expect([...seen.keys()].sort()).toEqual(['0', '1', '2', '3'])
  expect(failures).toEqual([])
})
