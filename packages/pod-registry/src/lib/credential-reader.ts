import type { Clock } from '@kube2iam-ts/core'
import { type Cluster, type ClusterAccess, noCredentials } from './cluster.ts'
import { untilAborted } from './until-aborted.ts'

/** Reads a cluster's credentials, one reading at a time, which all who ask meanwhile share. */
export interface CredentialReader {
  /** Rejects with `CLUSTER_CREDENTIALS`, with `ABORTED` as soon as the signal is aborted. */
  read(signal?: AbortSignal): Promise<ClusterAccess>
  /** Ends what is being read. */
  close(): void
}

export interface CredentialReaderOptions {
  cluster: Pick<Cluster, 'access'>
  clock: Clock
  /** A plugin may hang, and a file may be on a volume that does: after so long it is given up. */
  limitMs: number
}

export function createCredentialReader({
  cluster,
  clock,
  limitMs,
}: CredentialReaderOptions): CredentialReader {
  let reading: Promise<ClusterAccess> | undefined
  let stop: (() => void) | undefined

  return {
    async read(signal) {
      reading ??= begin().finally(() => {
        reading = undefined
      })
      const access = reading
      access.catch(() => {}) // Whoever is left hears of it; perhaps nobody is.
      await untilAborted(access, signal)
      return access
    },
    close: () => stop?.(),
  }

  async function begin(): Promise<ClusterAccess> {
    const end = new AbortController()
    stop = () => end.abort()
    const cancel = clock.after(limitMs, stop)
    try {
      const access = cluster.access(end.signal)
      await untilAborted(access, end.signal)
      return await access
    } catch (cause) {
      throw end.signal.aborted ? noCredentials(new Error(`nothing came for ${limitMs} ms`)) : cause
    } finally {
      cancel()
      stop = undefined
    }
  }
}
