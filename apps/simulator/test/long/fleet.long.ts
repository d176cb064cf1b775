import { expect, test } from 'vitest'
import { compareWithAgents } from '../../src/fleet/against-agents.ts'
import { simulateFleet } from '../../src/fleet/model.ts'
import { DEFAULT_FLEET } from '../../src/fleet/options.ts'

test.each([1, 2, 5, 10, 20])(
  '%i nodes: the model and real agents agree on STS calls within 2 %',
  async (nodes) => {
    for (const sessionScope of ['pod', 'role'] as const) {
      const { difference } = await compareWithAgents({
        nodes,
        podsPerNode: 30,
        hours: 12,
        sessionScope,
        seed: nodes,
      })
      expect(difference, sessionScope).toBeLessThan(0.02)
    }
  },
  600_000,
)

test('5,000 nodes with 110 pods each for a day are simulated', () => {
  const { stsCalls, gaps } = simulateFleet({
    ...DEFAULT_FLEET,
    nodes: 5000,
    podsPerNode: 110,
    rollOut: 'rolling',
  })
  expect(stsCalls).toBeGreaterThan(25_000_000)
  expect(gaps.count).toBe(0)
}, 300_000)
