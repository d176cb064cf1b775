import type { Clock } from '@kube2iam-ts/core'
import { StsRefusal } from './answers.ts'

/** What is wrong with the service just now; set and clear the fields at any time. */
export interface FakeStsFaults {
  /** A token bucket for AssumeRole, as AWS accounts have: above it calls get HTTP 400 `Throttling`. */
  throttle: { readonly ratePerSecond: number; readonly burst: number } | undefined
  /** Every call gets 503 `ServiceUnavailable`, 500 `InternalFailure`, or its connection cut. */
  outage: 'unavailable' | 'internal-failure' | 'reset' | undefined
  /** Sent with throttling and outages. */
  retryAfterSeconds: number | undefined
  /** Answers come this much later. */
  latencyMs: number
  /** Requests are read and never answered. */
  hang: boolean
  /** What successful calls are answered with instead of the truth. */
  rubbish: 'html' | 'truncated' | 'empty' | 'no-credentials' | undefined
  /** Regions whose endpoint the account has switched off: 403 `RegionDisabledException`. */
  readonly regionsOff: Set<string>
}

export const noFaults = (): FakeStsFaults => ({
  throttle: undefined,
  outage: undefined,
  retryAfterSeconds: undefined,
  latencyMs: 0,
  hang: false,
  rubbish: undefined,
  regionsOff: new Set(),
})

/** Throws the refusal of a fault that stops a call before anything is looked at. */
export function createFaultGate(faults: FakeStsFaults, clock: Clock) {
  let tokens: number | undefined
  let filledAt = 0

  function takeToken({ ratePerSecond, burst }: NonNullable<FakeStsFaults['throttle']>): boolean {
    const now = clock.monotonic()
    tokens = Math.min(burst, (tokens ?? burst) + ((now - filledAt) / 1000) * ratePerSecond)
    filledAt = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }

  return (action: string): void => {
    const headers: Record<string, string> =
      faults.retryAfterSeconds === undefined ? {} : { 'retry-after': String(faults.retryAfterSeconds) }
    if (faults.outage === 'unavailable') {
      throw new StsRefusal(
        503,
        'ServiceUnavailable',
        'Service is unavailable. Please try again later.',
        headers,
      )
    }
    if (faults.outage === 'internal-failure') {
      throw new StsRefusal(500, 'InternalFailure', 'An internal error has occurred', headers)
    }
    if (faults.throttle === undefined) tokens = undefined
    else if (action === 'AssumeRole' && !takeToken(faults.throttle)) {
      throw new StsRefusal(400, 'Throttling', 'Rate exceeded', headers)
    }
  }
}
