import { setTimeout as sleep } from 'node:timers/promises'
import { podObject } from '../cluster/objects.ts'
import type { Terminal } from '../terminal.ts'
import type { AgentProcess } from '../world/agent-process.ts'
import type { EmbeddedWorld } from '../world/embedded-world.ts'
import { startEmbeddedWorld } from '../world/embedded-world.ts'
import { startAgentOf } from './agents.ts'
import type { DemoCase } from './cases.ts'
import { agentArgsOf, DEMO_AWS, DEMO_CASES, DEMO_NODES, demoObjects, LEAVER } from './cases.ts'
import type { PodResult } from './pod-messages.ts'
import { runPod } from './pod-process.ts'

export interface DemoLine {
  readonly demo: DemoCase
  readonly result: PodResult
  readonly right: boolean
}

export interface RunningDemo {
  readonly world: EmbeddedWorld
  readonly agents: ReadonlyMap<string, AgentProcess>
  /** Aborted: pods that ask are ended. */
  readonly interrupted: AbortSignal
  close(): Promise<void>
}

/** How long the early pod has been asking before its address is in the cluster. */
const LATE_BY_MS = 300
/** Pods that ask at once: as many as ask on a small machine without waiting for each other's processor. */
const AT_ONCE = 3

/** The embedded world with the real agent on each of its nodes; throws the reason of an interruption. */
export async function startDemo(terminal: Pick<Terminal, 'interrupted' | 'leftovers'>): Promise<RunningDemo> {
  const { interrupted, leftovers } = terminal
  const world = await startEmbeddedWorld({ aws: DEMO_AWS, objects: demoObjects(), leftovers })
  const agents = new Map<string, AgentProcess>()
  const close = async (): Promise<void> => {
    await Promise.all([...agents.values()].map((agent) => agent.stop()))
    await world.close()
  }
  const starts = await Promise.allSettled(
    DEMO_NODES.map(async (node) => {
      const args = ['--namespace-restrictions', '--log-format=json', ...agentArgsOf(node)]
      agents.set(
        node,
        await startAgentOf({
          node,
          world,
          region: DEMO_AWS.region,
          baseArn: DEMO_AWS.base.text,
          args,
          terminal,
        }),
      )
    }),
  )
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed !== undefined) {
    await close()
    throw failed.reason
  }
  // In the order of their names and not in that of their readiness.
  const ordered = new Map([...agents].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return { world, agents: ordered, interrupted, close }
}

/** Lets every pod ask; the lines are in the order of the cases. Throws where it is interrupted. */
export async function askAll(
  demo: RunningDemo,
  onLine: (line: DemoLine) => void = () => {},
): Promise<DemoLine[]> {
  const cases = [...DEMO_CASES.slice(0, -2), LEAVER, ...DEMO_CASES.slice(-2)]
  const lines: (DemoLine | undefined)[] = cases.map(() => undefined)
  const run = async (index: number): Promise<void> => {
    const demoCase = cases[index]
    if (demoCase === undefined) return
    const result = await askOne(demo, demoCase)
    const line = { demo: demoCase, result, right: isRight(demoCase, result) }
    lines[index] = line
    onLine(line)
  }
  // The newcomer takes its address over from the leaver, so it asks after everybody else did.
  const newcomer = cases.findIndex(({ arrives }) => typeof arrives === 'object')
  const queue = cases.map((_, index) => index).filter((index) => index !== newcomer)
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await run(next)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await run(newcomer)
  return lines.filter((line) => line !== undefined)
}

async function askOne({ world, agents, interrupted }: RunningDemo, demoCase: DemoCase): Promise<PodResult> {
  const { pod, short, ask, arrives } = demoCase
  const agent = agents.get(short.node ?? 'node-1')
  const [address] = short.ip ?? []
  if (agent === undefined || address === undefined)
    throw new Error(`the demonstration's ${pod} has no node or address`)
  const arrive = (): void => void world.api.apply(podObject(pod, short))
  if (typeof arrives === 'object') {
    const [namespace = '', name = ''] = arrives.insteadOf.split('/')
    world.api.delete('Pod', namespace, name)
    arrive()
  }
  return runPod(
    {
      metadataEndpoint: agent.metadataUrl,
      stsEndpoint: world.urls.sts,
      address,
      region: DEMO_AWS.region,
      ask,
    },
    () => {
      if (arrives === 'late') void sleep(LATE_BY_MS).then(arrive)
    },
    interrupted,
  )
}

/** Whether the pod got what it should: its own role's credentials, proved by STS, or just the refusal that it should. */
export function isRight({ gets }: DemoCase, result: PodResult): boolean {
  if ('refused' in gets) {
    return result.outcome === 'refused' && (result.status ?? result.code) === gets.refused
  }
  return (
    result.outcome === 'credentials' &&
    result.account === gets.account &&
    result.callerArn.startsWith(`arn:${gets.partition}:sts::${gets.account}:assumed-role/${gets.name}/`)
  )
}
