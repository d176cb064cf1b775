import { collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createClockCorrection } from './clock-correction.ts'
import type { TokenServiceEvent } from './token-service-events.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND

/** A correction that has learnt, one after the other, that STS is ahead by so much. */
function having(...aheadMs: (number | undefined)[]) {
  const clock = createFakeClock()
  const { events, report } = collectReports<TokenServiceEvent>()
  const correction = createClockCorrection(clock, report)
  for (const ms of aheadMs) correction.learn(ms === undefined ? undefined : new Date(clock.now() + ms))
  return { correction, events }
}

test.each([
  ['less than signatures bear', [3 * MINUTE], 0],
  ['more', [4 * MINUTE], 4 * MINUTE],
  ['behind', [-600 * MINUTE], -600 * MINUTE],
  ['right again', [10 * MINUTE, 0], 0],
  ['nearly right again', [10 * MINUTE, 3 * MINUTE], 0],
  ['wrong the other way', [10 * MINUTE, -10 * MINUTE], -10 * MINUTE],
  ['an answer without a date', [10 * MINUTE, undefined], 0],
])('%s: corrected by what was measured last', (_what, measured, expected) => {
  expect(having(...measured).correction.skewMs).toBe(expected)
})

test('answers that differ by seconds correct nothing and tell nothing', () => {
  const { correction, events } = having(
    10 * MINUTE,
    10 * MINUTE + 2 * SECOND,
    10 * MINUTE - 2 * SECOND,
    4 * MINUTE + SECOND,
    4 * MINUTE - SECOND,
    4 * MINUTE + SECOND,
  )
  expect(events).toEqual([
    { kind: 'clock-corrected', skewMs: 10 * MINUTE },
    { kind: 'clock-corrected', skewMs: 4 * MINUTE + SECOND },
  ])
  expect(correction.isAnother(4 * MINUTE)).toBe(false)
  expect(correction.isAnother(0)).toBe(true)
})
