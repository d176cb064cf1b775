import type { Server } from 'node:http'
import type { Clock } from '@kube2iam-ts/core'

export interface DrainOptions {
  readonly clock: Clock
  /** How long connections that are open may still ask and be answered. */
  readonly drainMs: number
  /** How many are open. */
  readonly open: () => number
}

/** Stops accepting, waits for what was accepted, and cuts the rest. */
export async function drainServer(server: Server, { clock, drainMs, open }: DrainOptions): Promise<void> {
  if (!server.listening) return
  await quietMoment(server, clock)
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  if (drainMs > 0 && open() > 0) {
    const over = new AbortController()
    await Promise.race([closed, clock.sleep(drainMs, over.signal).catch(() => {})])
    over.abort()
  }
  server.closeAllConnections()
  await closed
}

const QUIET_TURN_MS = 0.2
const TURNS = 50

/**
 * Waits for an idle turn of the event loop. The kernel resets a connection that is complete but not yet accepted when
 * its listener closes, unless it hands it to another one on the port (net.ipv4.tcp_migrate_req). Right after a poll
 * that brought no connection there is none, but for the microseconds in between.
 */
async function quietMoment(server: Server, clock: Clock): Promise<void> {
  let accepted = 0
  const count = (): void => void (accepted += 1)
  server.on('connection', count)
  for (let turn = 0; turn < TURNS; turn += 1) {
    const [at, before] = [clock.monotonic(), accepted]
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (turn > 0 && accepted === before && clock.monotonic() - at < QUIET_TURN_MS) break
  }
  server.off('connection', count)
}
