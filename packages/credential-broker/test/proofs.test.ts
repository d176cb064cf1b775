import { test } from 'vitest'
import { provesAskingDay } from './asking-day.ts'
import { provesDay, provesThrottling } from './proofs.ts'

test('110 pods, a quarter of a day: STS calls as theory says, no document under half an hour of life', async () => {
  await provesDay(6)
}, 30_000)

test('pods that only ask, half a day: no document under half an hour of life, nothing renewed for nobody', async () => {
  await provesAskingDay(12, 4)
}, 30_000)

test('a throttled account recovers without a herd', async () => {
  await provesThrottling(10, 30)
}, 30_000)
