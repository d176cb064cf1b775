import { isCoded } from '@kube2iam-ts/core'
import type { CommandRunner } from './command-runner.ts'
import type { NodeFiles } from './node-files.ts'

/** Where `ip netns` keeps its namespaces: ip-netns(8), and as Debian builds it; one is usually a link to the other. */
const DIRECTORIES = ['/var/run/netns', '/run/netns']
/** Above what every command of a probe may take together. */
const ABANDONED_MS = 120_000

/**
 * Names the namespace of a probe by when it began. Agents in different containers cannot see each other's processes,
 * so its age is what tells one that is in use from one that somebody left who was killed.
 */
export const probeNamespace = (now: number, id: string): string =>
  `k2i-probe-${Math.floor(now / 1_000).toString(36)}-${id}`

export interface SweepProbesOptions {
  readonly runner: CommandRunner
  readonly files: NodeFiles
  /** Wall-clock time, ms. */
  readonly now: number
  readonly signal: AbortSignal
}

/** Removes namespaces that probes left; their interfaces, on the node's side too, go with them. */
export async function sweepProbes({ runner, files, now, signal }: SweepProbesOptions): Promise<void> {
  const names = await Promise.all(DIRECTORIES.map((directory) => files.list(directory)))
  for (const name of new Set(names.flat())) {
    const begun = /^k2i-probe-([0-9a-z]{1,8})-[0-9a-f]{6}$/.exec(name)?.[1]
    if (begun === undefined) continue
    // One from the future was made before the clock was set back.
    if (Math.abs(now - Number.parseInt(begun, 36) * 1_000) < ABANDONED_MS) continue
    try {
      await runner.run('ip', ['netns', 'delete', name], { signal })
    } catch (error) {
      // It harms nothing, and the next sweep tries again.
      if (!isCoded(error) || isCoded(error, 'ABORTED')) throw error
    }
  }
}
