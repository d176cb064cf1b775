import { test } from 'vitest'
import { playHistories } from '../histories.ts'
import type { HistoryOptions } from '../model.ts'

const HISTORIES = 10_000

test.each<[string, HistoryOptions]>([
  ['by the watch alone', { confirm: false, evidence: false }],
  ['with direct confirmation', { confirm: true, evidence: false }],
  ['with the node’s evidence', { confirm: false, evidence: true }],
  [
    'with the node’s evidence and direct confirmation where it contradicts',
    { confirm: 'where the node contradicts', evidence: true },
  ],
  ['with the node’s evidence and direct confirmation', { confirm: true, evidence: true }],
])(`in ${HISTORIES} random histories nobody ever gets a foreign identity, %s`, async (_, options) => {
  const given = process.env['KUBE2IAM_SEED']
  const seed = given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given)
  process.stdout.write(`pod-registry histories: ${HISTORIES}, KUBE2IAM_SEED=${seed}\n`)
  await playHistories(HISTORIES, seed, options)
})
