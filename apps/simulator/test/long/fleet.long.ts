import { describe, expect, test } from 'vitest'
import { compareWithAgents } from '../../src/fleet/against-agents.ts'
import { simulateFleet } from '../../src/fleet/model.ts'
import { DEFAULT_FLEET } from '../../src/fleet/options.ts'

const HOUR = 3_600_000
const EVENTS = {
  'a quiet fleet': {},
  churn: { churnPerHour: 0.5 },
  'a roll-out': { rollOut: 'rolling', rollOutAtMs: 2 * HOUR },
  'an outage of half an hour': { stsOutageAtMs: 4 * HOUR, stsOutageForMs: HOUR / 2 },
  'an outage longer than sessions': { stsOutageAtMs: 4 * HOUR, stsOutageForMs: 1.5 * HOUR },
} as const
// What a small fleet does in an outage is a matter of luck: the sum over some days is not.
const SEEDS = [1, 2, 3, 4]

describe.each([1, 2, 5, 10, 20])('%i nodes', (nodes) => {
  test.each(Object.entries(EVENTS))(
    '%s: the model and real agents agree on STS calls within 2 %%',
    async (_what, event) => {
      for (const sessionScope of ['pod', 'role'] as const) {
        const sum = { agents: 0, model: 0 }
        // Few sessions make few calls, so that more days are needed until luck evens out.
        const days =
          sessionScope === 'role' && nodes < 10
            ? SEEDS.flatMap((seed) => [seed, seed + 4, seed + 8, seed + 12])
            : SEEDS
        for (const seed of days) {
          const { agents, model } = await compareWithAgents({
            nodes,
            podsPerNode: 40,
            hours: 12,
            sessionScope,
            seed,
            ...event,
          })
          sum.agents += agents
          sum.model += model
        }
        const { agents, model } = sum
        expect(Math.abs(model - agents) / agents, `${sessionScope}: ${agents} and ${model}`).toBeLessThan(
          0.02,
        )
      }
    },
    600_000,
  )
})

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
