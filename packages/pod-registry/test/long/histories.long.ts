import { test } from 'vitest'
import { playHistories } from '../histories.ts'

const HISTORIES = 10_000

test.each([
  ['by the watch alone', false],
  ['with direct confirmation', true],
])(`in ${HISTORIES} random histories nobody ever gets a foreign identity, %s`, async (_, confirm) => {
  const given = process.env['KUBE2IAM_SEED']
  const seed = given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given)
  process.stdout.write(`pod-registry histories: ${HISTORIES}, KUBE2IAM_SEED=${seed}\n`)
  await playHistories(HISTORIES, seed, confirm)
})
