import { expect, test } from 'vitest'
import { runBypass } from '../support/bypass.ts'
import { bypassCases } from '../support/bypass-cases.ts'

// KUBE2IAM_SEED repeats a run from the seed that it printed; KUBE2IAM_COUNT=1 that attack alone.
const seed = Number(process.env['KUBE2IAM_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const count = Number(process.env['KUBE2IAM_COUNT'] ?? 100_000)

test.each(bypassCases)(
  `$name: ${count} attacks from seed ${seed} bring no secret back`,
  { timeout: 600_000 },
  async (attacked) => {
    const statuses = await runBypass({ ...attacked, seed, count })
    expect([...statuses.values()].reduce((sum, one) => sum + one, 0)).toBe(count)
  },
)
