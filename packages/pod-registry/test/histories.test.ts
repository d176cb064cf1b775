import { test } from 'vitest'
import { playHistories } from './histories.ts'

// The long run (test/long) plays ten thousand of each.
const seed = Number(process.env['KUBE2IAM_SEED'] ?? 20_260_101)

test.each([
  ['by the watch alone', false],
  ['with direct confirmation', true],
])('in random histories nobody ever gets a foreign identity, %s', { timeout: 60_000 }, async (_, confirm) => {
  await playHistories(300, seed, confirm)
})
