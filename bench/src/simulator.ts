import { join } from 'node:path'
import { simulateFleet } from '../../apps/simulator/src/fleet/model.ts'
import { DEFAULT_FLEET } from '../../apps/simulator/src/fleet/options.ts'
import { loadScenario } from '../../apps/simulator/src/scenario/load.ts'
import { runScenario } from '../../apps/simulator/src/simulation/run-scenario.ts'
import type { Table } from './table.ts'

/** How long a simulated day takes: of one pod by the whole agent, and of a large fleet by the model. */
export async function run(): Promise<Table> {
  const scenario = loadScenario(
    join(import.meta.dirname, '../../apps/simulator/scenarios/26-a-whole-day.yaml'),
  )
  const started = performance.now()
  const { simulatedMs } = await runScenario(scenario)
  const dayMs = performance.now() - started
  const large = { ...DEFAULT_FLEET, nodes: 5000, podsPerNode: 110, rollOut: 'rolling' as const }
  const fleet = simulateFleet(large, () => performance.now())
  return {
    title: 'simulator',
    figures: [
      { what: 'a day of one pod, whole agent', value: dayMs / 1000, unit: 's', aim: { atMost: 10 } },
      { what: 'simulated over real time', value: simulatedMs / dayMs, unit: '×', aim: { atLeast: 8640 } },
      {
        what: '5,000 nodes × 110 pods × 24 h',
        value: fleet.tookMs / 1000,
        unit: 's',
        aim: { atMost: 60 },
        against: `${Math.round(fleet.stsCalls / 1e6)} million STS calls`,
      },
      { what: 'calls simulated per second', value: fleet.stsCalls / fleet.tookMs, unit: 'thousand' },
    ],
  }
}
