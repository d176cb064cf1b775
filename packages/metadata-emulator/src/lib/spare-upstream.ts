import type { Clock, Report } from '@kube2iam-ts/core'
import type { UpstreamEvent } from './events.ts'
import { createRateLimiter } from './rate-limit.ts'
import { rememberImmutable } from './remember-immutable.ts'
import { upstreamUnavailable } from './upstream-error.ts'
import type { Upstream, UpstreamAnswer } from './upstream-port.ts'

export interface SpareUpstreamOptions {
  readonly clock: Clock
  readonly report: Report<UpstreamEvent>
  /** Requests of all pods together; `perSecond` 0 sets no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number }
}

/**
 * An upstream that pods cannot use up. All traffic of a network interface to link-local services shares 1024 packets
 * a second, DNS and time among it: an immutable fact is asked once, any other path once a second, and all paths
 * together as often as the rate allows. What is beyond rejects with `UPSTREAM_UNAVAILABLE` and sends nothing.
 */
export function spareUpstream(upstream: Upstream, options: SpareUpstreamOptions): Upstream {
  return rememberImmutable(shareForASecond(holdBack(upstream, options), options.clock))
}

const SHARED_MS = 1000
/** Answers are up to 256 KiB; more different paths than this within a second are a crawl, which the rate ends. */
const MOST_PATHS = 64

interface Shared {
  readonly answer: Promise<UpstreamAnswer>
  readonly until: number
}

function shareForASecond(upstream: Upstream, clock: Clock): Upstream {
  /** In the order of asking, which is that of ending. */
  const recent = new Map<string, Shared>()
  // A shared request is nobody's to abort; the adapter bounds its time.
  const nobody = new AbortController().signal

  const forget = (now: number): void => {
    for (const [path, { until }] of recent) {
      if (until > now && recent.size < MOST_PATHS) return
      recent.delete(path)
    }
  }

  return {
    async get(path) {
      const now = clock.monotonic()
      const held = recent.get(path)
      if (held !== undefined && held.until > now) return await held.answer
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
    },
    close: () => upstream.close(),
  }
}

function holdBack(upstream: Upstream, { clock, report, rate }: SpareUpstreamOptions): Upstream {
  const limiter = createRateLimiter<'upstream'>({ clock, ...rate })
  return {
    async get(path, options) {
      if (limiter.take('upstream')) return await upstream.get(path, options)
      report({ kind: 'upstream', outcome: 'held-back', status: undefined, durationMs: 0 })
      throw upstreamUnavailable('pods ask more of the metadata service than it may be asked')
    },
    close: () => upstream.close(),
  }
}
