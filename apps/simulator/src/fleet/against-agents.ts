import { parseScenario } from '../scenario/load.ts'
import { createSimulation } from '../simulation/simulation.ts'
import { simulateFleet } from './model.ts'
import { DEFAULT_FLEET } from './options.ts'

export interface Comparison {
  /** Calls to STS that real agents made under virtual time. */
  readonly agents: number
  /** Calls that the model says they make. */
  readonly model: number
  /** By how much of the agents' calls the model is off. */
  readonly difference: number
}

export interface ComparedFleet {
  readonly nodes: number
  readonly podsPerNode: number
  readonly hours: number
  readonly sessionScope: 'pod' | 'role'
  readonly seed: number
}

/** Plays the same quiet fleet by the model and by the agent's own assembly. */
export async function compareWithAgents(fleet: ComparedFleet): Promise<Comparison> {
  const { nodes, podsPerNode, hours, sessionScope, seed } = fleet
  const pods = Array.from({ length: nodes * podsPerNode }, (_, index) => {
    const node = Math.floor(index / podsPerNode) + 1
    const pod = (index % podsPerNode) + 1
    return `    app/pod-${node}-${pod}: {ip: 10.1.${node}.${pod}, node: node-${node}, role: role-${pod % 4}}`
  })
  const scenario = parseScenario(
    [
      'version: 1',
      'name: fleet',
      `seed: ${seed}`,
      `cluster:\n  pods:\n${pods.join('\n')}`,
      'aws: {roles: {role-0: {}, role-1: {}, role-2: {}, role-3: {}}}',
      // The rules are not what is compared.
      `agent: {settings: {session-scope: ${sessionScope}, iptables: false}}`,
    ].join('\n'),
    'fleet.yaml',
  )
  const simulation = await createSimulation(scenario)
  try {
    for (const node of simulation.nodes.values()) await simulation.pump(node.start(), 'the start')
    await simulation.clock.advance(hours * 3_600_000)
    const agents = simulation.sts.calls.length
    const { stsCalls: model } = simulateFleet({
      ...DEFAULT_FLEET,
      nodes,
      podsPerNode,
      hours,
      seed,
      sessionScope,
      roles: 4,
      churnPerHour: 0,
      startOverMs: 0,
    })
    return { agents, model, difference: Math.abs(model - agents) / agents }
  } finally {
    await simulation.close()
  }
}
