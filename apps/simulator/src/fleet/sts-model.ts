import type { FleetOptions } from './options.ts'

/** What STS answers a call. */
export type StsAnswer = 'issued' | 'throttled' | 'down'

/** STS as a fleet sees it: a token bucket per account and region, and an outage. */
export interface StsModel {
  ask(node: number, nowMs: number): StsAnswer
}

export function createStsModel(options: FleetOptions): StsModel {
  const { accounts, regions, quota, quotaBurst, stsOutageAtMs, stsOutageForMs } = options
  const buckets = accounts * regions
  const tokens = new Float64Array(buckets).fill(quotaBurst)
  const filledAt = new Float64Array(buckets)
  return {
    ask(node, nowMs) {
      if (stsOutageAtMs > 0 && nowMs >= stsOutageAtMs && nowMs < stsOutageAtMs + stsOutageForMs) return 'down'
      const bucket = node % buckets
      const filled = Math.min(
        quotaBurst,
        (tokens[bucket] ?? 0) + ((nowMs - (filledAt[bucket] ?? 0)) / 1000) * quota,
      )
      filledAt[bucket] = nowMs
      tokens[bucket] = filled >= 1 ? filled - 1 : filled
      return filled >= 1 ? 'issued' : 'throttled'
    },
  }
}
