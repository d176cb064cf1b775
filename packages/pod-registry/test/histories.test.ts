import { test } from 'vitest'
import { HISTORY_KINDS, playHistories } from './histories.ts'

// The long run (test/long) plays ten thousand of each.
const seed = Number(process.env['KUBE2IAM_SEED'] ?? 20_260_101)

test.each(HISTORY_KINDS)(
  'in random histories nobody ever gets a foreign identity, %s',
  { timeout: 60_000 },
  async (_, options) => {
    await playHistories(300, seed, options)
  },
)
