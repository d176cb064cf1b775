import { expect, test } from 'vitest'
import { countLeaksOfInstance, runBypass } from './support/bypass.ts'
import { bypassCases } from './support/bypass-cases.ts'

// The long run is test/long/bypass.long.ts; these seeds are always the same.
test.each(bypassCases)(
  'nothing gets past the canonical path with --metadata-allow=$name',
  async (attacked) => {
    const statuses = await runBypass({ ...attacked, seed: 1, count: 400 })
    // Each kind of end was reached: answered, refused by the parser, refused by the route.
    for (const status of [200, 400, 404, 405])
      expect([status, statuses.get(status) ?? 0]).not.toEqual([status, 0])
  },
)

test('the same attacks do bring secrets back from the instance itself', { timeout: 30_000 }, async () => {
  const [first] = bypassCases
  const leaks = await countLeaksOfInstance({ ...first!, seed: 1, count: 200 })
  expect(leaks).toBeGreaterThan(30)
})
