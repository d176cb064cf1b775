import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { NODE_NAME } from './cluster.ts'
import type { CommandResult } from './lab/command.ts'
import { ADDRESSES, type Lab } from './lab/lab.ts'
import type { LabProcess } from './lab/process.ts'
import type { World } from './world/world.ts'

export const APP_PORT = 8181
export const METRICS_PORT = 8183

/** The built agent; another build of it where `KUBE2IAM_E2E_BUNDLE` says so. */
export const BUNDLE =
  process.env['KUBE2IAM_E2E_BUNDLE'] ?? new URL('../../apps/agent/dist/main.cjs', import.meta.url).pathname

/** How the image starts it; deploy/container/Dockerfile has the same flags. */
export const NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--liftoff-only',
  '--no-maglev',
]

/**
 * The agent tries its redirect from a scratch namespace, whose name is a file in /run/netns. An agent that a test
 * kills with -9 cannot take it away, so each has a /run/netns of its own that goes with it.
 */
const OWN_RUN_NETNS = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run/netns && exec "$@"', 'sh']

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
  const process_ = lab.node.start([...OWN_RUN_NETNS, process.execPath, ...NODE_FLAGS, BUNDLE, ...args], {
    env: agentEnv(world),
  })
  if (options.noWait !== true) await untilReady(world, process_)
  return Object.assign(process_, { readyAfterMs: performance.now() - started })
}

/** Runs a subcommand of the agent to its end (`kube2iam install`, `uninstall`, `iptables status` …). */
export function runAgentCommand(lab: Lab, args: readonly string[], env: Record<string, string> = {}) {
  return lab.node.run([...OWN_RUN_NETNS, process.execPath, BUNDLE, ...args], { env })
}

/** Waits for a process to end by itself. */
export async function runToEnd(process_: LabProcess): Promise<CommandResult> {
  const { code, signal } = await process_.ended
  return { code, signal, stdout: process_.output(), stderr: '' }
}

/**
 * Waits until the agent says in its log that it is ready, and `/readyz` agrees. The log comes first: two agents share
 * their ports during a roll-out, so an answer on a port may be the other one's. Rejects when neither comes in time.
 */
export async function untilReady(world: World, agent: LabProcess, timeoutMs = 20_000): Promise<void> {
  const url = `http://${ADDRESSES.node}:${METRICS_PORT}/readyz`
  try {
    await agent.waitForOutput(/msg=ready\b|"msg":"ready"/, timeoutMs)
  } catch (cause) {
    throw new Error(`the agent is not ready: ${JSON.stringify(await world.get(url))}`, { cause })
  }
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await delay(20))
    if ((await world.get(url)).status === 200) return
  throw new Error(`the agent says that it is ready and ${url} does not:\n${agent.output()}`)
}
