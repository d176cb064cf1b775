import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { program } from '../../src/program.ts'
import type { World } from './world.ts'

const BINARY = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** An agent in a process of its own. */
export interface AgentProcess {
  readonly child: ChildProcess
  /** The metadata port, and the one of health and metrics. */
  readonly port: number
  readonly statusPort: number
  readonly log: readonly LogLine[]
  /** Resolves with the first line that matches, of those that were written and those to come. */
  logged(message: string, where?: (line: LogLine) => boolean): Promise<LogLine>
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; tookMs: number }>
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Nothing of the environment of who tests: no credentials, no proxies, no settings. */
const cleanEnvironment = { PATH: process.env['PATH'] ?? '', AWS_EC2_METADATA_DISABLED: 'true' }

/** Runs what the binary runs, in this process: for what ends before anything is started. */
export async function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const { stdout, stderr } = process
  const writes = { stdout: stdout.write, stderr: stderr.write }
  const out = { stdout: '', stderr: '' }
  const keep = (name: 'stdout' | 'stderr') => (chunk: string | Uint8Array) => {
    out[name] += chunk.toString()
    return true
  }
  stdout.write = keep('stdout')
  stderr.write = keep('stderr')
  try {
    return { code: await program(args, env), ...out }
  } finally {
    stdout.write = writes.stdout
    stderr.write = writes.stderr
  }
}

/** Runs the binary to its end. */
export function runBinary(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const child = spawn(process.execPath, [BINARY, ...args], { env: { ...cleanEnvironment, ...env } })
  const out = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (out.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (out.stderr += chunk.toString()))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...out })))
}

/** Starts an agent in the world and waits until it listens. */
export async function startAgent(
  world: World,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<AgentProcess> {
  const portsFile = world.path('ports.json')
  rmSync(portsFile, { force: true })
  const child = spawn(process.execPath, [BINARY, ...world.args, ...args], {
    env: { ...cleanEnvironment, ...world.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  const log: LogLine[] = []
  const watchers = new Set<() => void>()
  let rest = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines)
      log.push(line.startsWith('{') ? (JSON.parse(line) as LogLine) : { level: 'raw', msg: line })
    for (const watcher of watchers) watcher()
  })
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  const logged: AgentProcess['logged'] = (message, where = () => true) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = log.find((line) => line.msg === message && where(line))
        if (found === undefined) return
        watchers.delete(look)
        resolve(found)
      }
      watchers.add(look)
      void exited.then(() =>
        reject(new Error(`it ended without saying "${message}": ${JSON.stringify(log, null, 1)}`)),
      )
      look()
    })
  await logged('listening')
  while (!existsSync(portsFile)) await new Promise((resolve) => setTimeout(resolve, 5))
  const ports = JSON.parse(readFileSync(portsFile, 'utf8')) as Record<'metadata' | 'status', { port: number }>
  return {
    child,
    port: ports.metadata.port,
    statusPort: ports.status.port,
    log,
    logged,
    async stop(signal = 'SIGTERM') {
      const begun = performance.now()
      child.kill(signal)
      const code = await exited
      return { code, tookMs: performance.now() - begun }
    },
  }
}

export interface AskOptions {
  readonly from?: string | undefined
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

/** Asks from a pod's own (loopback) address, as the redirection leaves it. */
export function ask(
  port: number,
  path: string,
  { from = '127.0.0.1', method = 'GET', headers = {} }: AskOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, method, headers, localAddress: from, agent: false },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => (body += chunk))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }))
        answer.on('error', reject)
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}

/** The same, and again where the answer is to come again, as clients do: a busy machine may take longer than a wait. */
export async function askPatiently(port: number, path: string, options?: AskOptions): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask(port, path, options)
    if (answer.status !== 503 || attempt === 20) return answer
  }
}

export const ROLE_LIST = '/latest/meta-data/iam/security-credentials/'
