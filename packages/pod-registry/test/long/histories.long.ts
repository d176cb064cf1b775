import { test } from 'vitest'
import { HISTORY_KINDS, playHistories } from '../histories.ts'

const HISTORIES = 10_000

test.each(HISTORY_KINDS)(
  `in ${HISTORIES} random histories nobody ever gets a foreign identity, %s`,
  async (_, options) => {
    const given = process.env['KUBE2IAM_SEED']
    const seed = given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given)
    process.stdout.write(`pod-registry histories: ${HISTORIES}, KUBE2IAM_SEED=${seed}\n`)
    await playHistories(HISTORIES, seed, options)
  },
)
