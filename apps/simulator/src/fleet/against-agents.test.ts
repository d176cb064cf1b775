import { expect, test } from 'vitest'
import { type ComparedFleet, compareWithAgents } from './against-agents.ts'

const HOUR = 3_600_000
const few: ComparedFleet = { nodes: 4, podsPerNode: 30, hours: 8, sessionScope: 'pod', seed: 1 }

test.each<[string, ComparedFleet, number?]>([
  ['a quiet node', { ...few, nodes: 1, podsPerNode: 20, hours: 12 }],
  ['sessions by role', { ...few, podsPerNode: 12, hours: 4, sessionScope: 'role', seed: 2 }],
  ['pods that come and go', { ...few, churnPerHour: 0.5 }],
  ['a roll-out', { ...few, rollOut: 'rolling', rollOutAtMs: 2 * HOUR, rollOutShare: 0.25 }],
  ['an outage of STS', { ...few, stsOutageAtMs: 2 * HOUR, stsOutageForMs: HOUR / 2 }],
  ['an outage longer than sessions', { ...few, stsOutageAtMs: 2 * HOUR, stsOutageForMs: 1.5 * HOUR }],
  ['an outage, with sessions by role', { ...few, sessionScope: 'role', stsOutageAtMs: 2 * HOUR }, 10],
  ['a quota that throttles', { ...few, quota: 2, quotaBurst: 5 }],
])('%s: the model and real agents agree on STS calls within 2 %%', async (_what, fleet, times = 1) => {
  const { agents, difference } = await compareWithAgents(fleet, times)
  expect(agents).toBeGreaterThan(100)
  expect(difference).toBeLessThan(0.02)
})
