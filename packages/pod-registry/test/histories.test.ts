import { test } from 'vitest'
import { playHistories } from './histories.ts'
import type { HistoryOptions } from './model.ts'

// The long run (test/long) plays ten thousand of each.
const seed = Number(process.env['KUBE2IAM_SEED'] ?? 20_260_101)

test.each<[string, HistoryOptions]>([
  ['by the watch alone', { confirm: false, evidence: false }],
  ['with direct confirmation', { confirm: true, evidence: false }],
  ['with the node’s evidence', { confirm: false, evidence: true }],
  [
    'with the node’s evidence and direct confirmation where it contradicts',
    { confirm: 'where the node contradicts', evidence: true },
  ],
  ['with the node’s evidence and direct confirmation', { confirm: true, evidence: true }],
])('in random histories nobody ever gets a foreign identity, %s', { timeout: 60_000 }, async (_, options) => {
  await playHistories(300, seed, options)
})
