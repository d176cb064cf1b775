import type { Clock, Report } from '@kube2iam-ts/core'
import type { UpstreamEvent } from './events.ts'
import { type Asker, createFairTurns } from './fair-turns.ts'
import { type Ask, rememberImmutable } from './remember-immutable.ts'
import { upstreamUnavailable } from './upstream-error.ts'
import type { Upstream, UpstreamAnswer } from './upstream-port.ts'

export interface SpareUpstreamOptions {
  readonly clock: Clock
  readonly report: Report<UpstreamEvent>
  /** Requests of all pods together; `perSecond` 0 sets no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number }
}

/** The real metadata service, asked for somebody. */
export interface SpareUpstream {
  get(path: string, asker: Asker): Promise<UpstreamAnswer>
}

/**
 * An upstream that pods cannot use up, and no pod takes from another. All traffic of a network interface to link-local
 * services shares 1024 packets a second, DNS and time among it: an immutable fact is asked once, any other path once a
 * second, and all paths together as often as the rate allows, in fair turns. What is beyond rejects with
 * `UPSTREAM_UNAVAILABLE` and sends nothing.
 */
export function spareUpstream(upstream: Upstream, options: SpareUpstreamOptions): SpareUpstream {
  return { get: rememberImmutable(shareForASecond(upstream, options)) }
}

const SHARED_MS = 1000
/** Answers are up to 256 KiB; more different paths than this within a second are a crawl, which the rate ends. */
const MOST_PATHS = 64

interface Shared {
  readonly answer: Promise<UpstreamAnswer>
  readonly until: number
}

function shareForASecond(upstream: Upstream, { clock, report, rate }: SpareUpstreamOptions): Ask<Asker> {
  const turns = createFairTurns({ clock, ...rate })
  /** In the order of asking, which is that of ending. */
  const recent = new Map<string, Shared>()
  // A shared request is nobody's to abort; the adapter bounds its time.
  const nobody = new AbortController().signal

  const recently = (path: string): Promise<UpstreamAnswer> | undefined => {
    const held = recent.get(path)
    return held !== undefined && held.until > clock.monotonic() ? held.answer : undefined
  }

  const forget = (now: number): void => {
    for (const [path, { until }] of recent) {
      if (until > now && recent.size < MOST_PATHS) return
      recent.delete(path)
    }
  }

  const ask = async (path: string): Promise<UpstreamAnswer> => {
    const now = clock.monotonic()
    recent.delete(path)
    forget(now)
    const shared = { answer: upstream.get(path, { signal: nobody }), until: now + SHARED_MS }
    recent.set(path, shared)
    try {
      return await shared.answer
    } catch (error) {
      if (recent.get(path) === shared) recent.delete(path)
      throw error
    }
  }

  return async (path, asker) => {
    const held = recently(path)
    if (held !== undefined) return await held
    // Each waits for a turn of its own, and joins only what is under way: behind a greedy peer nobody would get there.
    const turn = turns.take(asker, () => recently(path) === undefined)
    const isTurn = typeof turn === 'boolean' ? turn : await turn
    const meanwhile = recently(path)
    if (meanwhile !== undefined) return await meanwhile
    if (isTurn) return await ask(path)
    report({ kind: 'upstream', outcome: 'held-back', status: undefined, durationMs: 0 })
    throw upstreamUnavailable('pods ask more of the metadata service than it may be asked')
  }
}
