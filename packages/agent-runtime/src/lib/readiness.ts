import { aborted, type Clock, type Report } from '@kube2iam-ts/core'
import type { AgentEvent } from './agent-events.ts'
import type { Health } from './health.ts'

export interface ReadinessOptions {
  readonly health: Health
  readonly clock: Clock
  readonly report: Report<AgentEvent>
  /** `Clock.monotonic` of the start. */
  readonly startedAt: number
  readonly signal: AbortSignal
}

/** Notices when the agent becomes ready, and when it no longer is. */
export interface Readiness {
  /** Resolves when it is ready for the first time; rejects with `ABORTED` when it stops before. */
  readonly first: Promise<void>
  /** Looks now: something that counts has changed. */
  readonly check: () => void
  /** Looks from time to time until the signal is aborted. */
  watch(): Promise<void>
}

const WHILE_NOT_READY_MS = 250
const WHILE_READY_MS = 5_000

export function createReadiness({ health, clock, report, startedAt, signal }: ReadinessOptions): Readiness {
  let isReady = false
  let isFirst = true
  let resolveFirst = (): void => {}
  const first = new Promise<void>((resolve, reject) => {
    resolveFirst = resolve
    signal.addEventListener('abort', () => reject(aborted(signal)), { once: true })
  })
  // Nobody has to wait for it.
  first.catch(() => {})

  function check(): void {
    const { ready, parts } = health.report()
    if (ready === isReady || signal.aborted) return
    isReady = ready
    if (ready) {
      report({ kind: 'ready', afterMs: Math.round(clock.monotonic() - startedAt), again: !isFirst })
      isFirst = false
      resolveFirst()
    } else {
      const broken = parts.filter(({ ok, required }) => required && !ok)
      report({
        kind: 'not-ready',
        parts: broken.map(({ name }) => name),
        reasons: broken.map(({ reason }) => reason),
      })
    }
  }

  return {
    first,
    check,
    async watch() {
      while (!signal.aborted) {
        check()
        await clock.sleep(isReady ? WHILE_READY_MS : WHILE_NOT_READY_MS, signal)
      }
    },
  }
}
