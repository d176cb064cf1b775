import { parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import type { EmulatorEvent, Handler } from '@kube2iam-ts/metadata-emulator'
import { expect, test } from 'vitest'
import { openListeners, printBound } from './listeners.ts'
import { parseSettings } from './settings/settings.ts'

/** What was opened and closed again by the last `setUp`: also where that failed. */
let opened: string[] = []
let closed: string[] = []

async function setUp(...args: string[]) {
  const parsed = parseSettings({ args: ['--node=node-1', ...args] })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  const clock = createFakeClock()
  const handlers = new Map<number, Handler>()
  opened = []
  closed = []
  const counts = { rendered: 0, pods: 0 }
  const events: EmulatorEvent[] = []
  const pods: Handler = async () => {
    counts.pods += 1
    return { status: 200, headers: [], body: Buffer.alloc(0) }
  }
  const listeners = await openListeners({
    settings: parsed.settings,
    emulator: { metadata: pods, container: pods, shared: pods },
    status: {
      health: () => ({ ready: true, parts: [] }),
      metrics: async () => {
        counts.rendered += 1
        return { contentType: 'text/plain', text: 'm' }
      },
    },
    async listen({ handler, host, port: asked }) {
      if (asked === 1 && host === 'fd00::1') throw new Error('EADDRNOTAVAIL')
      // The port that the system chooses where none is asked for.
      const port = asked === 0 ? 40_000 + opened.length : asked
      handlers.set(port, handler)
      opened.push(`${host} ${port}`)
      return { url: '', host, port, connections: 0, close: async () => void closed.push(`${host} ${port}`) }
    },
    clock,
    report: (event) => void events.push(event),
  })
  const ask = async (address: string, target: string, port = 8181): Promise<number> => {
    const handler = handlers.get(port)
    if (handler === undefined) throw new Error(`nobody listens on ${port}`)
    const peer = parseIpAddress(address)
    const signal = new AbortController().signal
    return (await handler({ method: 'GET', target, peer, headers: {}, signal })).status
  }
  return { clock, counts, events, ask, listeners }
}

test('a pod that asks for metrics in a loop gets some of them, and the next one its own', async () => {
  const { clock, counts, events, ask } = await setUp()
  const statuses = []
  for (let index = 0; index < 1_000; index += 1) statuses.push(await ask('10.4.0.7', '/metrics'))
  expect(counts.rendered).toBe(20)
  expect(statuses.filter((status) => status === 429)).toHaveLength(980)
  expect(events).toContainEqual({ kind: 'rejected', reason: 'status-rate', status: 429, peer: '10.4.0.7' })
  expect(await ask('10.4.0.8', '/metrics')).toBe(200)
  await clock.advance(1_000)
  expect(await ask('10.4.0.7', '/metrics')).toBe(200)
})

test('it may ask for its own metadata all the same', async () => {
  const { counts, ask } = await setUp()
  for (let index = 0; index < 100; index += 1) await ask('10.4.0.7', '/healthz')
  expect(await ask('10.4.0.7', '/healthz')).toBe(429)
  expect(await ask('10.4.0.7', '/latest/meta-data/')).toBe(200)
  expect(counts.pods).toBe(1)
})

test('so it is where only /healthz is left on the port of pods', async () => {
  const { ask } = await setUp('--metrics-port=9543')
  for (let index = 0; index < 20; index += 1) expect(await ask('10.4.0.7', '/healthz')).toBe(200)
  expect(await ask('10.4.0.7', '/healthz')).toBe(429)
})

test('an address of each family is listened on, and nothing else of the node', async () => {
  const { listeners } = await setUp(
    '--host-ip=10.0.0.1,fd00::1',
    '--container-credentials',
    '--container-credentials-port=8282',
    '--metrics-port=9543',
  )
  expect(opened).toEqual(['10.0.0.1 8181', 'fd00::1 8181', ':: 9543', '10.0.0.1 8282', 'fd00::1 8282'])
  expect(listeners.addresses).toEqual({
    metadata: { host: '10.0.0.1', port: 8181, also: [{ host: 'fd00::1', port: 8181 }] },
    status: { host: '::', port: 9543 },
    container: { host: '10.0.0.1', port: 8282, also: [{ host: 'fd00::1', port: 8282 }] },
  })
  expect(printBound(listeners.addresses.metadata)).toBe('10.0.0.1:8181 and [fd00::1]:8181')
  await listeners.close(0)
  expect(closed.toSorted()).toEqual(opened.toSorted())
})

test('one address is one listener, as kube2iam has it', async () => {
  const { listeners } = await setUp('--host-ip=10.0.0.1', '--metrics-port=9543')
  expect(opened).toEqual(['10.0.0.1 8181', '0.0.0.0 9543'])
  expect(listeners.addresses.metadata).toEqual({ host: '10.0.0.1', port: 8181 })
})

test('the port that the system chooses is the same for both families', async () => {
  await setUp('--bind-address=127.0.0.1,::1', '--app-port=0', '--ports-file=/dev/null')
  expect(opened).toEqual(['127.0.0.1 40000', '::1 40000'])
})

test('where one of the two cannot be had, the other is closed again', async () => {
  await expect(setUp('--host-ip=10.0.0.1,fd00::1', '--app-port=1')).rejects.toThrow('EADDRNOTAVAIL')
  expect(closed).toEqual(['10.0.0.1 1'])
})
