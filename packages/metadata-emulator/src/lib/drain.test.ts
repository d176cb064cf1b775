import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { drainServer } from './drain.ts'

/** A server to which one connection comes in each of so many turns of the event loop. */
function busyFor(turns: number) {
  let left = turns
  const seen = { atClose: -1 }
  const server = Object.assign(new EventEmitter(), {
    listening: true,
    close(done: () => void) {
      seen.atClose = left
      done()
    },
    closeAllConnections() {},
  })
  const turn = (): void => {
    if (left === 0) return
    left -= 1
    server.emit('connection')
    setImmediate(turn)
  }
  setImmediate(turn)
  return { server, seen }
}

const drain = (server: ReturnType<typeof busyFor>['server']) =>
  drainServer(server as unknown as Server, { clock: createFakeClock(), drainMs: 0, open: () => 0 })

test('a listener is closed only after a turn that brought no connection, however short the others were', async () => {
  const { server, seen } = busyFor(20)
  await drain(server)
  expect(seen.atClose).toBe(0)
  expect(server.listenerCount('connection')).toBe(0)
})

test('one that is never quiet is closed all the same', async () => {
  const { server, seen } = busyFor(100_000)
  await drain(server)
  expect(seen.atClose).toBeGreaterThan(0)
})
