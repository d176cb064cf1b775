import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { World } from './world.ts'

export const BUNDLE = fileURLToPath(new URL('../../../apps/agent/dist/main.cjs', import.meta.url))

const DOCKERFILE = fileURLToPath(new URL('../../../deploy/container/Dockerfile', import.meta.url))

/** What the image starts node with; others where `KUBE2IAM_BENCH_NODE_FLAGS` names them, to compare. */
export const NODE_FLAGS: readonly string[] =
  process.env['KUBE2IAM_BENCH_NODE_FLAGS']?.split(' ') ??
  [...(/^ENTRYPOINT (.*)$/m.exec(readFileSync(DOCKERFILE, 'utf8'))?.[1] ?? '').matchAll(/"(--[^"]+)"/g)].map(
    ([, flag = '']) => flag,
  )

export interface RunningAgent {
  readonly pid: number
  readonly startedAt: number
  readonly port: number
  readonly statusPort: number
  /** When the line was written, in milliseconds since the epoch; waits for it. */
  logged(message: string): Promise<number>
  stop(): Promise<void>
}

/** Starts the bundle exactly as the image does, with its compile cache in the world's directory. */
export async function startAgent(world: World): Promise<RunningAgent> {
  const startedAt = Date.now()
  const child: ChildProcess = spawn(process.execPath, [...NODE_FLAGS, BUNDLE, ...world.args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: join(world.directory, 'compile-cache'),
      NODE_ENV: 'production',
      MALLOC_ARENA_MAX: '1',
      ...world.env,
    },
  })
  const seen = new Map<string, number>()
  const waiting = new Map<string, (at: number) => void>()
  let rest = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const { msg, time } = JSON.parse(line) as { msg: string; time: string }
      if (seen.has(msg)) continue
      seen.set(msg, Date.parse(time))
      waiting.get(msg)?.(Date.parse(time))
    }
  })
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const logged = (message: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const at = seen.get(message)
      if (at !== undefined) return resolve(at)
      waiting.set(message, resolve)
      void exited.then(() => reject(new Error(`the agent ended before it said "${message}": ${rest}`)))
    })
  await logged('ready')
  const ports = JSON.parse(readFileSync(join(world.directory, 'ports.json'), 'utf8')) as Record<
    'metadata' | 'status',
    { port: number }
  >
  return {
    pid: child.pid ?? 0,
    startedAt,
    port: ports.metadata.port,
    statusPort: ports.status.port,
    logged,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
