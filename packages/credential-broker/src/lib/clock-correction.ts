import type { Clock, Report } from '@kube2iam-ts/core'
import type { TokenServiceEvent } from './token-service-events.ts'

/** By how much signatures are dated otherwise than by the node's clock. */
export interface ClockCorrection {
  /** STS's clock minus the node's where that is so much that signatures must be corrected by it; else 0. */
  readonly skewMs: number
  /** An answer said what time it is; `undefined`: it said nothing, and only the node's clock is left to believe. */
  learn(date: Date | undefined): void
  /** Whether a request that was signed with so much correction would be dated otherwise now. */
  isAnother(signedWithMs: number): boolean
}

/** Signatures are good for five minutes to either side; a smaller skew needs no correction. */
const CORRECTED_MS = 4 * 60_000
/** Date headers have whole seconds and answers take their time: a smaller difference says nothing new. */
const STEP_MS = 60_000

/**
 * Nodes' clocks are wrong, and are set right while the agent runs: every answer of STS is another measurement, and what
 * was corrected is taken back as readily as it was made.
 */
export function createClockCorrection(clock: Clock, report: Report<TokenServiceEvent>): ClockCorrection {
  let skewMs = 0
  return {
    get skewMs() {
      return skewMs
    },
    learn(date) {
      const measuredMs = date === undefined ? 0 : date.getTime() - clock.now()
      if (Math.abs(measuredMs - skewMs) < STEP_MS) return
      const nextMs = Math.abs(measuredMs) < CORRECTED_MS ? 0 : measuredMs
      if (nextMs === skewMs) return
      skewMs = nextMs
      report(skewMs === 0 ? { kind: 'clock-right-again' } : { kind: 'clock-corrected', skewMs })
    },
    isAnother: (signedWithMs) => Math.abs(skewMs - signedWithMs) >= STEP_MS,
  }
}
