import type { Clock, Report } from '@kube2iam-ts/core'
import type { CaptureEvent } from './events.ts'

/** As many repairs within a minute mean that another program insists on its own. */
const REPAIRS = 10
const WINDOW_MS = 60_000
/** Still within the two seconds that a repair may take. */
const PAUSE_MS = 1_500

/** Keeps two programs that each put the other's rules right from doing only that. The guard holds meanwhile. */
export interface Contention {
  /** After a repair, or one that did not hold. */
  note(changedBy: string | undefined): void
  /** How long to wait before the next look. */
  pauseMs(): number
}

export function createContention({
  clock,
  report,
}: {
  clock: Clock
  report: Report<CaptureEvent>
}): Contention {
  let repairs: number[] = []
  const recent = (): number[] => repairs.filter((at) => at > clock.monotonic() - WINDOW_MS)
  return {
    note(changedBy) {
      repairs = [...recent(), clock.monotonic()]
      if (repairs.length !== REPAIRS) return
      report({
        type: 'capture-contended',
        repairs: REPAIRS,
        withinMs: WINDOW_MS,
        ...(changedBy !== undefined && { changedBy }),
      })
    },
    pauseMs: () => (recent().length >= REPAIRS ? PAUSE_MS : 0),
  }
}
