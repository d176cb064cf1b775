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
const PODS = 40
/** So many sessions, a few at a time on small fleets, are watched for a day: enough that luck evens out. */
const WATCHED = 640

describe.each([1, 2, 5, 10, 20])('%i nodes', (nodes) => {
  test.each(Object.entries(EVENTS))(
    '%s: the model and real agents agree on STS calls within 2 %%',
    async (_what, event) => {
      for (const sessionScope of ['pod', 'role'] as const) {
        const sessions = nodes * (sessionScope === 'pod' ? PODS : 4)
        // Of four sessions, when in their lives an outage meets them decides more than what agents do about it.
        if ('stsOutageAtMs' in event && sessions < 8) continue
        const { agents, model, difference } = await compareWithAgents(
          { nodes, podsPerNode: PODS, hours: 12, sessionScope, seed: nodes, ...event },
          Math.ceil(WATCHED / sessions),
        )
        expect(difference, `${sessionScope}: ${agents} and ${model}`).toBeLessThan(0.02)
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
