import { isCoded } from '@kube2iam-ts/core'
import { manifestObjects } from '../cluster/manifest-file.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { keyOf, namespaceObject, podObject } from '../cluster/objects.ts'
import type { RunResult, StepResult } from '../output/run-result.ts'
import type { Scenario } from '../scenario/load.ts'
import { ProblemsError } from '../scenario/problem.ts'
import type { Step } from '../scenario/scenario.ts'
import { formatDuration } from '../scenario/shape.ts'
import { shortNamespace, shortPod } from '../scenario/short-forms.ts'
import { type Asking, createAsking } from './asking.ts'
import { expectedText, gotText, judgeAnswer, type ReasonedAnswer } from './judge-answer.ts'
import { checkText, judgeCheck } from './judge-check.ts'
import type { SimulatedNode } from './simulated-node.ts'
import type { Simulation } from './simulation.ts'
import { createSimulation } from './simulation.ts'
import { StepProblem } from './step-problem.ts'
import { stepText } from './step-text.ts'

/** An agent that is not ready after this long is not waited for: the scenario may be about just that. */
const READY_WITHIN_MS = 10_000

/**
 * Plays a scenario under virtual time. The same scenario and seed give the same result. Where the signal is aborted, its
 * reason is thrown at the next instant of the simulated time.
 */
export async function runScenario(scenario: Scenario, signal?: AbortSignal): Promise<RunResult> {
  const simulation = await createSimulation(scenario, signal)
  const steps: StepResult[] = []
  const asking = createAsking(simulation)
  try {
    for (const node of simulation.nodes.values()) await startNode(simulation, node)
    for (const [index, step] of scenario.steps.entries()) {
      const { name = stepText(step), expect } = step.shared
      const atMs = simulation.atMs()
      simulation.tell('step', name)
      const { got, failures, expected } = await playAt(index, { scenario, simulation, asking, step })
      if (failures.length > 0) for (const failure of failures) simulation.tell('violation', failure)
      steps.push({
        index,
        line: step.at.line,
        column: step.at.column,
        name,
        atMs,
        expected: expected ?? expectedText(expect),
        got,
        failures,
      })
    }
    const { violations, timeline, sts } = simulation
    const nothing = isAnythingExpected(scenario, steps) ? [] : [NOTHING_EXPECTED]
    return {
      file: scenario.file,
      name: scenario.name,
      shows: scenario.shows,
      seed: scenario.seed,
      ok: violations.length === 0 && steps.every(({ failures }) => failures.length === 0),
      steps,
      violations,
      notChecked: (['no-foreign-identity', 'no-node-role'] as const).filter(
        (name) => scenario.invariants[name] === false,
      ),
      warnings: [...nothing, ...simulation.warnings],
      timeline,
      simulatedMs: Math.round(simulation.atMs()),
      stsCalls: sts.calls.length,
      requests: asking.requests,
    }
  } finally {
    await simulation.close()
  }
}

const NOTHING_EXPECTED = 'nothing was expected: no step says expect or check, and no invariant is demanded'

/** Whether the run could have failed otherwise than by the invariants that hold for every scenario. */
const isAnythingExpected = ({ invariants }: Scenario, steps: readonly StepResult[]): boolean =>
  steps.some(({ expected }) => expected !== '') || Object.values(invariants).some((value) => value !== false)

/** What a step asks in vain is a problem of the scenario, at that step. */
async function playAt(index: number, scene: Scene): Promise<Played> {
  try {
    return await play(scene)
  } catch (error) {
    const { step, scenario } = scene
    if (!(error instanceof StepProblem) && !(step.kind === 'apply' && isCoded(error))) throw error
    const path = `steps[${index}].${step.kind}`
    throw new ProblemsError([{ file: scenario.file, ...step.at, path, message: error.message }])
  }
}

interface Played {
  readonly got: string
  readonly failures: readonly string[]
  readonly expected?: string
}

interface Scene {
  readonly scenario: Scenario
  readonly simulation: Simulation
  readonly asking: Asking
  readonly step: Step
}

const done = (got = ''): Played => ({ got, failures: [] })

async function play(scene: Scene): Promise<Played> {
  const { simulation, asking, step } = scene
  const { clock, faults, tell } = simulation
  const chosen = [...simulation.nodes.values()].filter(
    ({ name }) => step.shared.node === undefined || step.shared.node === name,
  )
  switch (step.kind) {
    case 'request': {
      if (step.value.background === true) {
        asking.begin(step.value)
        await clock.advance(0)
        return done('sent')
      }
      return judge(scene, await asking.ask(step.value))
    }
    case 'answered':
      return judge(scene, await asking.answerOf(step.value.pod.value))
    case 'repeat': {
      for (let turn = 1; turn <= step.value.times; turn += 1) {
        if (turn > 1 && step.value.every !== undefined) await clock.advance(step.value.every)
        const played = judge(scene, await asking.ask(step.value.request))
        if (played.failures.length > 0) {
          return { ...played, failures: played.failures.map((failure) => `time ${turn}: ${failure}`) }
        }
        if (turn === step.value.times) return { ...played, got: `${turn} × ${played.got}` }
      }
      return done()
    }
    case 'advance':
      await clock.advance(step.value)
      return done()
    case 'apply':
      for (const object of appliedObjects(simulation, step.value)) {
        tell('cluster', `${object.kind} ${keyOf(object)} applied`)
        simulation.apply(object)
      }
      await clock.advance(0)
      return done()
    case 'delete':
      for (const { value: key } of step.value) {
        const [namespace = '', name = ''] = key.split('/')
        tell('cluster', `Pod ${key} deleted`)
        simulation.api.delete('Pod', namespace, name)
      }
      await clock.advance(0)
      return done()
    case 'terminate': {
      const pod = simulation.pod(step.value.value)
      if (pod !== undefined) {
        const deletionTimestamp = new Date(clock.now() + 30_000).toISOString().replace(/\.\d+Z$/, 'Z')
        simulation.apply({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } })
        tell('cluster', `Pod ${step.value.value} is terminating`)
      }
      await clock.advance(0)
      return done()
    }
    case 'fault': {
      const lasts = step.value.for === undefined ? '' : ` for ${formatDuration(step.value.for)}`
      tell('fault', `${faults.begin(step.value)}${lasts}`)
      await clock.advance(0)
      return done()
    }
    case 'clear':
      faults.clear(step.value)
      tell('fault', `${step.value}: cleared`)
      await clock.advance(0)
      return done()
    case 'agent':
      for (const node of chosen) await changeAgent(simulation, node, step.value)
      return done()
    case 'rule':
      for (const node of chosen) node.flushRules(step.value === 'flush-all')
      tell(
        'fault',
        step.value === 'flush-all' ? 'somebody emptied every table' : 'somebody emptied the nat table',
      )
      return done()
    case 'clock':
      for (const node of chosen) node.skewMs += step.value.skew
      tell('fault', `the node's clock jumped by ${formatDuration(step.value.skew)}`)
      await clock.advance(0)
      return done()
    case 'check': {
      const { got, failures } = await judgeCheck(step.value, chosen, simulation)
      return { got, failures, expected: checkText(step.value) }
    }
    default:
      return step satisfies never
  }
}

function judge({ scenario, simulation, step }: Scene, answers: readonly ReasonedAnswer[]): Played {
  const { expect } = step.shared
  const [first] = answers
  if (first === undefined) return { got: 'no answer', failures: ['there was no answer to judge'] }
  const context = { base: scenario.aws.base, now: simulation.clock.now() }
  const failures =
    expect === undefined
      ? []
      : [...new Set(answers.flatMap((answer) => judgeAnswer(expect, answer, context)))]
  return { got: answers.length > 1 ? `${answers.length} × ${gotText(first)}` : gotText(first), failures }
}

async function startNode(simulation: Simulation, node: SimulatedNode): Promise<void> {
  await simulation.pump(node.start(), `the start of the agent on ${node.name}`)
  const until = simulation.clock.monotonic() + READY_WITHIN_MS
  while (node.agent?.health().ready === false && simulation.clock.monotonic() < until) {
    await simulation.clock.advance(10)
  }
}

async function changeAgent(
  simulation: Simulation,
  node: SimulatedNode,
  what: Extract<Step, { kind: 'agent' }>['value'],
): Promise<void> {
  const stop = () => simulation.pump(node.stop(), `the stop of the agent on ${node.name}`)
  simulation.tell('fault', `agent on ${node.name}: ${what}`)
  switch (what) {
    case 'kill':
      node.kill()
      await simulation.clock.advance(0)
      break
    case 'stop':
      await stop()
      break
    case 'start':
      await startNode(simulation, node)
      break
    case 'restart':
      await stop()
      await startNode(simulation, node)
      break
    case 'roll':
      await startNode(simulation, node)
      await stop()
      break
    default:
      what satisfies never
  }
}

function appliedObjects(
  simulation: Simulation,
  { pods, namespaces, manifest }: Extract<Step, { kind: 'apply' }>['value'],
): readonly KubeObject[] {
  return [
    ...[...(namespaces ?? [])].map(([name, { value }]) => namespaceObject(name, shortNamespace(value))),
    ...[...(pods ?? [])].map(([key, { value }]) =>
      podObject(key, withNode(simulation, key, shortPod(value))),
    ),
    ...(manifest === undefined ? [] : manifestObjects(manifest.plain, '')),
  ]
}

/** A pod never moves: one that exists stays on its node unless the step says otherwise. */
function withNode(
  simulation: Simulation,
  key: string,
  pod: ReturnType<typeof shortPod>,
): ReturnType<typeof shortPod> {
  const before = simulation.pod(key)
  const node = (before?.['spec'] as { nodeName?: string } | undefined)?.nodeName
  return pod.node === undefined && node !== undefined ? { ...pod, node } : pod
}
