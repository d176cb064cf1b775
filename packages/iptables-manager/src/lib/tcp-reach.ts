import { connect } from 'node:net'
import type { Reach, Reached } from './reach.ts'

/** A port of the node's own answers at once, or a firewall hides it. */
const TIMEOUT_MS = 1_000

/** The real one. */
export function createTcpReach({ timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {}): Reach {
  return (host, port, signal) =>
    new Promise<Reached>((resolve) => {
      if (signal?.aborted === true) return resolve('unknown')
      const socket = connect({ host, port, timeout: timeoutMs })
      const finish = (reached: Reached): void => {
        signal?.removeEventListener('abort', onAbort)
        socket.destroy()
        resolve(reached)
      }
      const onAbort = (): void => finish('unknown')
      signal?.addEventListener('abort', onAbort, { once: true })
      socket.once('connect', () => finish('answered'))
      socket.once('timeout', () => finish('unknown'))
      // Errors after the end are nobody's business, and would end the process.
      socket.on('error', (error: NodeJS.ErrnoException) =>
        finish(error.code === 'ECONNREFUSED' ? 'refused' : 'unknown'),
      )
    })
}
