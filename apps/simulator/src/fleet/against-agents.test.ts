import { expect, test } from 'vitest'
import { compareWithAgents } from './against-agents.ts'

test.each([
  { nodes: 1, podsPerNode: 20, hours: 12, sessionScope: 'pod' as const, seed: 1 },
  { nodes: 4, podsPerNode: 12, hours: 4, sessionScope: 'role' as const, seed: 2 },
])(
  '$nodes nodes, sessions by $sessionScope: the model and real agents agree on STS calls within 2 %',
  async (fleet) => {
    const { agents, difference } = await compareWithAgents(fleet)
    expect(agents).toBeGreaterThan(100)
    expect(difference).toBeLessThan(0.02)
  },
)
