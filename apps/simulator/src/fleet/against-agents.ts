import { createSeededRandom } from '@kube2iam-ts/core/testing'
import type { KubeObject } from '../cluster/objects.ts'
import { podObject } from '../cluster/objects.ts'
import { parseScenario } from '../scenario/load.ts'
import type { Simulation } from '../simulation/simulation.ts'
import { createSimulation } from '../simulation/simulation.ts'
import { rollOutTimes, simulateFleet } from './model.ts'
import type { FleetOptions } from './options.ts'
import { DEFAULT_FLEET } from './options.ts'
import { createStsModel } from './sts-model.ts'

export interface Comparison {
  /** Calls to STS that real agents made under virtual time. */
  readonly agents: number
  /** Calls that the model says they make. */
  readonly model: number
  /** By how much of the agents' calls the model is off. */
  readonly difference: number
}

/** A fleet that both can play: what is not said here is as in the model's defaults, and agents start at once. */
export type ComparedFleet = Pick<FleetOptions, 'nodes' | 'podsPerNode' | 'hours' | 'seed'> & {
  readonly sessionScope: 'pod' | 'role'
} & Partial<
    Pick<
      FleetOptions,
      | 'churnPerHour'
      | 'rollOut'
      | 'rollOutAtMs'
      | 'rollOutShare'
      | 'rollOutNodeMs'
      | 'quota'
      | 'quotaBurst'
      | 'stsOutageAtMs'
      | 'stsOutageForMs'
    >
  >

const ROLES = 4

/**
 * Plays the same fleet by the model and by the agent's own assembly, as often as is said and each time with another seed:
 * what a few sessions do in an outage is a matter of luck, and the sum over some days is not.
 */
export async function compareWithAgents(fleet: ComparedFleet, times = 1): Promise<Comparison> {
  const options: FleetOptions = {
    ...DEFAULT_FLEET,
    roles: ROLES,
    churnPerHour: 0,
    startOverMs: 0,
    ...fleet,
  }
  let [agents, model] = [0, 0]
  for (let seed = fleet.seed; seed < fleet.seed + times; seed += 1) {
    agents += await callsOfAgents({ ...options, seed })
    model += simulateFleet({ ...options, seed }).stsCalls
  }
  return { agents, model, difference: Math.abs(model - agents) / agents }
}

async function callsOfAgents(options: FleetOptions): Promise<number> {
  const { nodes, podsPerNode, hours, sessionScope, seed } = options
  const lives = Array.from({ length: nodes * podsPerNode }, (_, index) => podOf(index, 0, options))
  const scenario = parseScenario(
    [
      'version: 1',
      'name: fleet',
      `seed: ${seed}`,
      'aws: {roles: {role-0: {}, role-1: {}, role-2: {}, role-3: {}}}',
      // The rules are not what is compared.
      `agent: {settings: {session-scope: ${sessionScope}, iptables: false}}`,
    ].join('\n'),
    'fleet.yaml',
  )
  const simulation = await createSimulation({ ...scenario, objects: lives })
  try {
    const quota = createStsModel({ ...options, stsOutageAtMs: 0 })
    simulation.sts.addFault({
      kind: 'throttled',
      rate: 1,
      latencyMs: 0,
      region: undefined,
      hits: () => quota.ask(0, simulation.atMs()) === 'throttled',
    })
    for (const node of simulation.nodes.values()) await simulation.pump(node.start(), 'the start')
    const start = simulation.atMs()
    for (const { atMs, happen } of eventsOf(options, simulation)) {
      await simulation.clock.advance(Math.max(0, start + atMs - simulation.atMs()))
      happen()
    }
    await simulation.clock.advance(start + hours * 3_600_000 - simulation.atMs())
    const calls = simulation.sts.calls.length
    // An agent that merely vanished would be kept in memory by what it was waiting for, and its whole world with it.
    for (const node of simulation.nodes.values()) await simulation.pump(node.stop(), 'the stop')
    return calls
  } finally {
    await simulation.close()
  }
}

/** The pod at a place of the fleet, in one of its lives. */
function podOf(index: number, life: number, { podsPerNode }: FleetOptions): KubeObject {
  const node = Math.floor(index / podsPerNode) + 1
  const pod = (index % podsPerNode) + 1
  return podObject(`app/pod-${node}-${pod}-${life}`, {
    // An address of its own in each life: what becomes of an address that is reused is not what is compared.
    ip: [`10.${node}.${life % 250}.${pod}`],
    node: `node-${node}`,
    role: `role-${(pod + life) % ROLES}`,
  })
}

interface FleetEvent {
  readonly atMs: number
  readonly happen: () => void
}

function eventsOf(options: FleetOptions, simulation: Simulation): readonly FleetEvent[] {
  const { nodes, podsPerNode, hours, seed, churnPerHour, stsOutageAtMs, stsOutageForMs } = options
  const events: FleetEvent[] = []
  const random = createSeededRandom(seed + 1_000_000)
  const churning = churnPerHour > 0 ? nodes * podsPerNode : 0
  for (let index = 0; index < churning; index += 1) {
    const wait = (): number => (-Math.log(1 - random()) / churnPerHour) * 3_600_000
    let life = 0
    for (let atMs = wait(); atMs < hours * 3_600_000; atMs += wait()) {
      const before = podOf(index, life, options)
      life += 1
      const after = podOf(index, life, options)
      events.push({
        atMs,
        happen() {
          simulation.api.delete('Pod', before.metadata.namespace, before.metadata.name)
          simulation.apply(after)
        },
      })
    }
  }
  const all = [...simulation.nodes.values()]
  for (const [index, atMs] of rollOutTimes(options)) {
    const node = all[index]
    if (node === undefined) continue
    // As a roll-out does it: the new agent starts beside the old one, which then ends.
    const replace = async (): Promise<void> => {
      await node.start()
      await node.stop()
    }
    events.push({ atMs, happen: () => void replace() })
  }
  if (stsOutageAtMs > 0) {
    events.push({
      atMs: stsOutageAtMs,
      happen() {
        simulation.faults.begin({ sts: 'down', for: stsOutageForMs })
      },
    })
  }
  return events.toSorted((a, b) => a.atMs - b.atMs)
}
