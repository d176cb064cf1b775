import { isCoded } from '@kube2iam-ts/core'
import type { CommandRunner } from './command-runner.ts'
import type { Endpoint } from './settings.ts'

export type CutResult =
  | { readonly kind: 'cut'; readonly connections: number }
  /** The guard drops their packets all the same; without conntrack they hang until the client gives up. */
  | { readonly kind: 'unavailable'; readonly reason: string }

/**
 * Forgets the connections that go to the real owner of an address, so that their next packet meets the redirect and
 * the client learns at once that the connection is gone. Connections that were redirected have the agent as their
 * reply's source and stay.
 */
export async function cutConnections(
  runner: CommandRunner,
  endpoints: readonly Endpoint[],
  signal?: AbortSignal,
): Promise<CutResult> {
  let connections = 0
  for (const { address, family } of endpoints) {
    const args = ['-D', '-f', family === 6 ? 'ipv6' : 'ipv4', '--orig-dst', address, '--reply-src', address]
    try {
      const { exitCode, stderr } = await runner.run('conntrack', args, { ...(signal && { signal }) })
      const deleted = /(\d+) flow entries have been deleted/.exec(stderr)
      if (deleted === null && exitCode !== 0)
        return { kind: 'unavailable', reason: stderr.trim().slice(0, 200) }
      connections += Number(deleted?.[1] ?? 0)
    } catch (error) {
      if (!isCoded(error, 'COMMAND_MISSING') && !isCoded(error, 'COMMAND_DENIED')) throw error
      return { kind: 'unavailable', reason: error.message }
    }
  }
  return { kind: 'cut', connections }
}
