import type { Clock } from '@kube2iam-ts/core'
import type { NetfilterBackend } from './backend.ts'
import type { NodeFiles } from './node-files.ts'
import type { DesiredTable, Observed } from './plan.ts'

/** What changes no count, such as a plain rule ahead of ours: so long it may stay unseen. */
const COUNTED_MS = 20_000

/** Whether the rules are as they were at the last look, where no monitor tells of changes. */
export interface Unwatched {
  /** Before the rules are read: a change in between makes the next comparison differ, and none is missed. */
  beforeLook(backend: NetfilterBackend): Promise<void>
  afterLook(backend: NetfilterBackend, tables: readonly DesiredTable[], observed: Observed): void
  /** Cheap, and blind for what changes inside our chains. */
  seemsUntouched(
    backend: NetfilterBackend,
    tables: () => Promise<readonly DesiredTable[]>,
    signal?: AbortSignal,
  ): Promise<boolean>
  /** Whether the kernel's counts tell of a flush, so that everything else may be looked at less often. */
  readonly counted: boolean
}

export function createUnwatched({
  files,
  clock,
}: {
  readonly files: NodeFiles
  readonly clock: Clock
}): Unwatched {
  let fingerprint: string | undefined
  let counts: string | undefined
  let comparedAt = 0

  /** Nothing where netfilter is no module, whose first count would be there. */
  const readCounts = async ({ counts = [] }: NetfilterBackend): Promise<string | undefined> => {
    const [first, ...others] = await Promise.all(counts.map((path) => files.readText(path)))
    return first === undefined ? undefined : [first, ...others].join(' ')
  }

  return {
    async beforeLook(backend) {
      counts = await readCounts(backend)
    },

    afterLook(backend, tables, observed) {
      if (backend.monitors.length > 0) return
      fingerprint = backend.fingerprintOf(tables, observed)
      comparedAt = clock.monotonic()
    },

    async seemsUntouched(backend, tables, signal) {
      if (fingerprint === undefined) return false
      const now = await readCounts(backend)
      if (now !== undefined && now === counts && clock.monotonic() - comparedAt < COUNTED_MS) return true
      if ((await backend.fingerprint(await tables(), signal)) !== fingerprint) return false
      counts = now
      comparedAt = clock.monotonic()
      return true
    },

    get counted() {
      return counts !== undefined
    },
  }
}
