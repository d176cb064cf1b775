import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { BUNDLE, NODE_FLAGS, type RunningAgent, startAgent } from './footprint/agent.ts'
import { createWorld, PODS, type World } from './footprint/world.ts'
import { cpuMsOf, memoryOf, type Table } from './table.ts'

const SECONDS = Number(process.env['KUBE2IAM_BENCH_SECONDS'] ?? 60)
const SESSIONS_WITHIN_MS = 60_000
/** The agent gives back what its start has left twenty seconds after it. */
const SETTLED_MS = 22_000
const LOAD = fileURLToPath(new URL('footprint/load.ts', import.meta.url))

/** What the agent of a full node costs that node: started as the image starts it, in a process of its own. */
export async function run(): Promise<Table> {
  if (!existsSync(BUNDLE)) throw new Error(`${BUNDLE} is missing: npm run build`)
  const world = await createWorld()
  try {
    await fillCompileCache(world)
    world.forget()
    const agent = await startAgent(world)
    try {
      return await measure(world, agent)
    } finally {
      await agent.stop()
    }
  } finally {
    await world.close()
  }
}

/** As the image's build does it: V8 writes the cache when a process that used the code ends. */
async function fillCompileCache(world: World): Promise<void> {
  const agent = await startAgent(world)
  await agent.logged('session issued')
  await load(agent, 1, 2)
  await fetch(`http://127.0.0.1:${agent.statusPort}/metrics`)
  await agent.stop()
}

async function measure(world: World, agent: RunningAgent): Promise<Table> {
  const { pid, startedAt } = agent
  const listening = (await agent.logged('listening')) - startedAt
  const readyAt = await agent.logged('ready')
  await untilSessions(agent)
  await delay(SETTLED_MS)
  const idle = memoryOf(pid)
  const before = cpuMsOf(pid)
  await delay(SECONDS * 1_000)
  const idleCpu = (cpuMsOf(pid) - before) / (SECONDS * 1_000)
  const afterMinute = memoryOf(pid)
  const begun = cpuMsOf(pid)
  const { perSecond, p99Ms, other } = await load(agent, SECONDS, 16)
  const saturated = memoryOf(pid)
  const perRequest = ((cpuMsOf(pid) - begun) * 1_000) / (perSecond * SECONDS)
  return {
    title: `footprint: the agent of a node with ${PODS} pods and ${PODS} sessions`,
    figures: [
      { what: 'process start to listening', value: listening, unit: 'ms' },
      { what: 'process start to ready', value: readyAt - startedAt, unit: 'ms' },
      {
        what: "API server's first answer to ready",
        value: readyAt - world.firstAnswerAt(),
        unit: 'ms',
        aim: { atMost: 300 },
      },
      { what: 'idle: resident', value: idle.residentMiB, unit: 'MiB', aim: { atMost: 80 } },
      { what: 'idle: private', value: idle.privateMiB, unit: 'MiB' },
      { what: `after ${SECONDS} s more of idling: resident`, value: afterMinute.residentMiB, unit: 'MiB' },
      {
        what: `${SECONDS} s of idling: processor`,
        value: idleCpu * 100,
        unit: '% of a core',
        aim: { atMost: 0.2 },
      },
      {
        what: `${SECONDS} s of saturation: resident`,
        value: saturated.residentMiB,
        unit: 'MiB',
        aim: { atMost: 110 },
      },
      { what: 'saturation: private', value: saturated.privateMiB, unit: 'MiB' },
      { what: 'saturation: documents', value: perSecond, unit: '/s' },
      { what: 'saturation: p99', value: p99Ms, unit: 'ms' },
      { what: 'saturation: processor', value: perRequest, unit: 'µs/request' },
      { what: 'saturation: not 200', value: other, unit: 'requests', aim: { atMost: 0 } },
    ],
    notes: [
      `node ${NODE_FLAGS.join(' ')} main.cjs, MALLOC_ARENA_MAX=1, with a warm compile cache, as in the image`,
      'each request opens a connection of its own from the address of its pod, and is a line in the log and in the metrics',
      'the client that saturates, the API server (TLS), STS and the metadata service run on the same machine',
    ],
  }
}

async function untilSessions({ statusPort }: RunningAgent): Promise<void> {
  const deadline = performance.now() + SESSIONS_WITHIN_MS
  for (;;) {
    const text = await (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text()
    const held = Number(/^kube2iam_sessions (\d+)/m.exec(text)?.[1] ?? 0)
    if (held >= PODS) return
    if (performance.now() > deadline) throw new Error(`only ${held} of ${PODS} sessions are there`)
    await delay(1_000)
  }
}

async function load({ port }: RunningAgent, seconds: number, connections: number) {
  const args = [LOAD, String(port), String(seconds), String(connections)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as { perSecond: number; p99Ms: number; other: number }
}
