import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { BoundAddress, BoundAddresses } from '@kube2iam-ts/agent-runtime'
import type { Leftovers } from '../terminal.ts'

export interface AgentProcessOptions {
  /** For messages and the name of its files: the node. */
  readonly name: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Where the agent keeps its key and says its ports. */
  readonly directory: string
  /** Each line of its log. */
  readonly onLog?: (line: string) => void
  readonly readyWithinMs?: number
  /** Aborted: the agent is not waited for any longer, and is killed if it was not ready yet. */
  readonly signal: AbortSignal
  readonly leftovers: Leftovers
}

/** The real agent as a process of its own. */
export interface AgentProcess {
  readonly pid: number
  /** What pods reach at 169.254.169.254: `http://127.0.0.1:PORT`. */
  readonly metadataUrl: string
  /** Where `/healthz`, `/readyz` and `/metrics` are. */
  readonly metricsUrl: string
  /** From spawning the process to its readiness. */
  readonly readyAfterMs: number
  /** The last lines of its log. */
  readonly log: readonly string[]
  /** Resolves when the process has ended, however that came. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** SIGTERM, and SIGKILL after 6 s. */
  stop(): Promise<void>
  kill(): Promise<void>
}

const REMEMBERED_LINES = 500
/** As the agent's image starts it (deploy/container/Dockerfile). */
const IMAGE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=64', '--liftoff-only', '--no-maglev']

/**
 * The agent's program: its bundle, as the package `@kube2iam-ts/agent` brings it or as it was built in the workspace;
 * in a workspace where nothing was built, its source, which Node runs as it is.
 */
export function agentProgram(): string {
  const require = createRequire(import.meta.url)
  const folder = dirname(require.resolve('@kube2iam-ts/agent/package.json'))
  const bundle = join(folder, 'dist', 'main.cjs')
  const source = join(folder, 'src', 'main.ts')
  return existsSync(bundle) || !existsSync(source) ? bundle : source
}

/** Starts the agent and waits until it says that it is ready; throws with the end of its log where it does not. */
export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  const { name, directory, onLog, readyWithinMs = 15_000, signal, leftovers } = options
  const program = agentProgram()
  if (!existsSync(program)) throw new Error(`the agent is not built: ${program} does not exist`)
  signal.throwIfAborted()
  const portsFile = join(directory, `ports-${name}.json`)
  rmSync(portsFile, { force: true })
  const started = performance.now()
  const child = spawn(
    process.execPath,
    [...IMAGE_FLAGS, program, `--ports-file=${portsFile}`, ...options.args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C is for the simulator, which then stops its agents in order.
      detached: true,
      // Nothing of the caller's AWS set-up may reach the agent.
      env: { PATH: process.env['PATH'] ?? '', MALLOC_ARENA_MAX: '1', ...options.env },
    },
  )
  // Its own group is not reached by what ends this one.
  const gone = leftovers.add(() => child.kill('SIGKILL'))
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    let rest = ''
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        log.push(line)
        if (log.length > REMEMBERED_LINES) log.shift()
        onLog?.(line)
      }
    })
  }
  let ended = false
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('exit', (code, by) => {
      ended = true
      gone()
      resolve({ code, signal: by })
    })
    child.on('error', (error) => {
      ended = true
      gone()
      log.push(error.message)
      resolve({ code: null, signal: null })
    })
  })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 6000)
    await exited
    clearTimeout(timer)
  }

  const deadline = started + readyWithinMs
  const failed = async (why: string): Promise<never> => {
    await kill()
    throw new Error(`the agent on ${name} ${why}; the end of its log:\n${log.slice(-15).join('\n')}`)
  }
  let ports: Ports | undefined
  for (;;) {
    if (signal.aborted) {
      await kill()
      signal.throwIfAborted()
    }
    if (ended) return failed('ended before it was ready')
    if (performance.now() > deadline) return failed(`was not ready within ${readyWithinMs} ms`)
    ports ??= readPorts(portsFile)
    if (ports !== undefined && (await isReady(ports.metrics, signal))) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {
    pid: child.pid ?? 0,
    metadataUrl: ports.pods,
    metricsUrl: ports.metrics,
    readyAfterMs: performance.now() - started,
    log,
    exited,
    stop,
    kill,
  }
}

interface Ports {
  readonly pods: string
  readonly metrics: string
}

/** What the agent wrote to its ports file; `undefined` until it has. */
function readPorts(file: string): Ports | undefined {
  if (!existsSync(file)) return undefined
  const { metadata, status } = JSON.parse(readFileSync(file, 'utf8')) as BoundAddresses
  return { pods: urlOf(metadata), metrics: urlOf(status) }
}

const urlOf = ({ host, port }: BoundAddress): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`

async function isReady(metricsUrl: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${metricsUrl}/readyz`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(1000)]),
    })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}
