import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { ServerKind } from './metadata-emulator/server.ts'
import { type Figure, median, memoryOf, percentile, type Table } from './table.ts'

const KINDS: readonly ServerKind[] = ['bare', 'silent', 'measured', 'told']
const LIST = '/latest/meta-data/iam/security-credentials/'
const LANES = 16
const ROUNDS = 40
const REQUESTS = 500

interface Server {
  readonly kind: ServerKind
  readonly port: number
  readonly child: ChildProcess
}

interface Sample {
  readonly perSecond: number
  readonly cpuMicros: number
  readonly p99Ms: number
}

async function start(kind: ServerKind): Promise<Server> {
  const file = fileURLToPath(new URL('./metadata-emulator/server.ts', import.meta.url))
  const child = fork(file, [kind], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port))
    child.once('exit', (code) => reject(new Error(`the ${kind} server ended with ${code}`)))
  })
  // One core for the server, the other for the client, where there is taskset.
  spawnSync('taskset', ['-acp', '0', String(child.pid)], { stdio: 'ignore' })
  return { kind, port, child }
}

/** One connection for each request, as the answers' `Connection: close` has it. */
function get(port: number, target: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = performance.now()
    let answered = false
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('data', (chunk) => {
      answered = chunk.toString('latin1', 9, 12) === '200'
    })
    socket.once('close', () => {
      if (answered) resolve(performance.now() - asked)
      else reject(new Error(`no 200 to ${target}`))
    })
    socket.write(
      `GET ${target} HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`,
    )
  })
}

/** Processor time of every thread of a process in nanoseconds, from the scheduler's own account (Linux). */
function cpuNanosOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.reduce((sum, thread) => {
    const account = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')
    return sum + Number(account.split(' ')[0])
  }, 0)
}

async function round({ port, child }: Server, target: string): Promise<Sample> {
  const latencies: number[] = []
  const cpuBefore = cpuNanosOf(child.pid ?? 0)
  const from = performance.now()
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      while (latencies.length < REQUESTS) latencies.push(await get(port, target))
    }),
  )
  const elapsed = performance.now() - from
  return {
    perSecond: (latencies.length * 1000) / elapsed,
    cpuMicros: (cpuNanosOf(child.pid ?? 0) - cpuBefore) / 1000 / latencies.length,
    p99Ms: percentile(latencies, 0.99),
  }
}

/** Warm answers of the emulator against a bare node:http server with the same bytes: same run, taking turns. */
export async function run(): Promise<Table> {
  const servers = await Promise.all(KINDS.map(start))
  const figures: Figure[] = []
  try {
    for (const [what, target] of [
      ['credential document', `${LIST}app`],
      ['role list', LIST],
    ] as const) {
      const samples: Record<ServerKind, Sample[]> = { bare: [], silent: [], measured: [], told: [] }
      // The first rounds are the compiler's.
      for (let turn = 0; turn < ROUNDS / 4; turn += 1)
        for (const server of servers) await round(server, target)
      for (let turn = 0; turn < ROUNDS; turn += 1) {
        for (const server of servers) samples[server.kind].push(await round(server, target))
      }
      figures.push(...compare(what, samples))
    }
    for (const { kind, child } of servers) {
      const { residentMiB } = memoryOf(child.pid ?? 0)
      figures.push({ what: `resident memory after that, ${kind}`, value: residentMiB, unit: 'MiB' })
    }
  } finally {
    for (const { child } of servers) child.kill()
  }
  return {
    title: 'metadata-emulator: warm answers against bare node:http',
    figures,
    notes: [
      `${ROUNDS} rounds of ${REQUESTS} requests for each server in turn, ${LANES} at a time, a connection each; medians`,
      'told: with the metrics and the JSON log of the agent; measured: without the log; silent: without both',
      'the ratio is of server CPU for each request: the client needs more time than the server, and hides it otherwise',
    ],
  }
}

function compare(what: string, samples: Readonly<Record<ServerKind, Sample[]>>): Figure[] {
  const of = (kind: ServerKind, pick: (sample: Sample) => number) => median(samples[kind].map(pick))
  const ratio = (kind: ServerKind, pick: (sample: Sample) => number) =>
    median(samples.bare.map((sample, turn) => pick(sample) / pick(samples[kind][turn] ?? sample)))
  const bareCpu = `${of('bare', (one) => one.cpuMicros).toFixed(1)} µs bare`
  const barePerSecond = `${of('bare', (one) => one.perSecond).toFixed(0)} /s bare`
  return [
    {
      what: `${what}: CPU ratio, told`,
      value: ratio('told', (one) => one.cpuMicros),
      unit: '× bare',
      aim: { atLeast: 0.8 },
      against: bareCpu,
    },
    ...(['measured', 'silent'] as const).map((kind) => ({
      what: `${what}: CPU ratio, ${kind}`,
      value: ratio(kind, (one) => one.cpuMicros),
      unit: '× bare',
      against: bareCpu,
    })),
    {
      what: `${what}: throughput ratio, told`,
      value: 1 / ratio('told', (one) => one.perSecond),
      unit: '× bare',
      aim: { atLeast: 0.8 },
      against: barePerSecond,
    },
    {
      what: `${what}: p99, told`,
      value: of('told', (one) => one.p99Ms),
      unit: 'ms',
      against: `${of('bare', (one) => one.p99Ms).toFixed(2)} ms bare`,
    },
  ]
}
