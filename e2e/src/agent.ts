import { existsSync } from 'node:fs'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { NODE_NAME } from './cluster.ts'
import { ADDRESSES, type Lab } from './lab/lab.ts'
import type { LabProcess } from './lab/process.ts'
import type { World } from './world/world.ts'

export const APP_PORT = 8181
export const METRICS_PORT = 8183

export const BUNDLE = new URL('../../apps/agent/dist/main.cjs', import.meta.url).pathname

/** How the image starts it; deploy/container/Dockerfile has the same flags. */
export const NODE_FLAGS = ['--max-semi-space-size=4', '--max-old-space-size=64', '--liftoff-only']

export interface AgentOptions {
  /** Added to the usual flags. */
  readonly args?: readonly string[]
  /** In place of the usual flags. */
  readonly onlyArgs?: readonly string[]
  /** Returns without waiting for readiness. */
  readonly noWait?: boolean
}

export interface Agent extends LabProcess {
  /** Milliseconds from the start of the process to the first ready answer, seen every 20 ms. */
  readonly readyAfterMs: number
}

/** The flags that a DaemonSet on the lab's node would give. */
export function agentArgs(lab: Lab, world: World): string[] {
  mkdirSync(join(lab.folder, 'run'), { recursive: true })
  return [
    `--kubeconfig=${world.kubeconfigFile}`,
    `--node=${NODE_NAME}`,
    `--host-ip=${ADDRESSES.node}`,
    '--iptables',
    `--app-port=${APP_PORT}`,
    `--metrics-port=${METRICS_PORT}`,
    `--base-role-arn=arn:aws:iam::${world.account}:role/`,
    `--run-directory=${join(lab.folder, 'run')}`,
    '--log-level=debug',
  ]
}

export function agentEnv(world: World): Record<string, string> {
  return {
    AWS_REGION: world.region,
    AWS_ENDPOINT_URL_STS: world.stsUrl,
    MALLOC_ARENA_MAX: '1',
    HOME: '/nonexistent',
  }
}

/** Starts the built agent in the node namespace and waits until it says that it is ready. */
export async function startAgent(lab: Lab, world: World, options: AgentOptions = {}): Promise<Agent> {
  if (!existsSync(BUNDLE)) throw new Error(`${BUNDLE} is missing: npm run build`)
  const args = options.onlyArgs ?? [...agentArgs(lab, world), ...(options.args ?? [])]
  const started = performance.now()
  const process_ = lab.node.start([process.execPath, ...NODE_FLAGS, BUNDLE, ...args], {
    env: agentEnv(world),
  })
  if (options.noWait !== true) await untilReady(world, process_)
  return Object.assign(process_, { readyAfterMs: performance.now() - started })
}

/** Runs a subcommand of the agent to its end (`kube2iam install`, `uninstall`, `iptables status` …). */
export function runAgentCommand(lab: Lab, args: readonly string[], env: Record<string, string> = {}) {
  return lab.node.run([process.execPath, BUNDLE, ...args], { env })
}

/** Waits for `/readyz` to answer 200; rejects with the agent's log when it ends or is not ready in time. */
export async function untilReady(world: World, agent: LabProcess, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let last = ''
  while (Date.now() < deadline) {
    if (!agent.running()) throw new Error(`the agent ended before it was ready:\n${agent.output()}`)
    const answer = await world.get(`http://${ADDRESSES.node}:${METRICS_PORT}/readyz`)
    if (answer.status === 200) return
    last = `${answer.status} ${answer.body}`
    await delay(20)
  }
  throw new Error(`the agent is not ready after ${timeoutMs} ms (${last}):\n${agent.output()}`)
}
