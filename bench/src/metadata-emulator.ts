import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS } from './footprint/agent.ts'
import type { Captured, ServerKind } from './metadata-emulator/server.ts'
import { type Figure, median, memoryOf, percentile, type Table } from './table.ts'

const LIST = '/latest/meta-data/iam/security-credentials/'
const TARGETS = [
  ['credential document', `${LIST}app`],
  ['role list', LIST],
] as const
const LANES = 16
// Many and short: whoever else works on the machine spoils some of them, and the median is of the others.
const ROUNDS = 120
const REQUESTS = 200

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

/** What the agent's log goes to on a node: a pipe that somebody empties. */
interface LogReader {
  readonly fd: number
  close(): void
}

function readLog(): LogReader {
  const directory = mkdtempSync(join(tmpdir(), 'kube2iam-bench-'))
  const pipe = join(directory, 'log')
  execFileSync('mkfifo', [pipe])
  // A shell, because opening a pipe waits for the other end.
  const reader = spawn('sh', ['-c', 'exec cat "$0" > /dev/null', pipe], { stdio: 'ignore' })
  const fd = openSync(pipe, 'w')
  onCore('1', reader)
  return {
    fd,
    close() {
      closeSync(fd)
      reader.kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** One core for the server under test, the other for everything else, where there is taskset. */
const onCore = (core: '0' | '1', { pid }: ChildProcess): void => {
  spawnSync('taskset', ['-acp', core, String(pid)], { stdio: 'ignore' })
}

async function start(kind: ServerKind, log: LogReader, captured: Captured = {}): Promise<Server> {
  const file = fileURLToPath(new URL('./metadata-emulator/server.ts', import.meta.url))
  const child = fork(file, [kind, JSON.stringify(captured)], {
    execArgv: [...NODE_FLAGS],
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    stdio: ['ignore', 'ignore', log.fd, 'ipc'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port))
    child.once('exit', (code) => reject(new Error(`the ${kind} server ended with ${code}`)))
  })
  onCore('0', child)
  return { kind, port, child }
}

/** The emulator's answers, but for the date, which every server writes itself. */
async function capture({ port }: Server): Promise<Captured> {
  const answers = TARGETS.map(async ([, target]) => {
    const answer = await fetch(`http://127.0.0.1:${port}${target}`)
    const names = ['Server', 'Connection', 'Content-Type', 'Content-Length']
    const headers = names.flatMap((name) => [name, answer.headers.get(name) ?? ''])
    return [target, { headers, body: await answer.text() }] as const
  })
  return Object.fromEntries(await Promise.all(answers))
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
  const log = readLog()
  const servers: Server[] = []
  const figures: Figure[] = []
  try {
    for (const kind of ['silent', 'measured', 'told'] as const) servers.push(await start(kind, log))
    const [silent] = servers
    if (silent !== undefined) servers.unshift(await start('bare', log, await capture(silent)))
    for (const [what, target] of TARGETS) {
      const samples: Record<ServerKind, Sample[]> = { bare: [], silent: [], measured: [], told: [] }
      // The first rounds are the compiler's.
      for (let turn = 0; turn < ROUNDS / 2; turn += 1)
        for (const server of servers) await round(server, target)
      for (let turn = 0; turn < ROUNDS; turn += 1) {
        // Each in every place: what a neighbour leaves behind is not always the same one's to bear.
        const order = turn % 2 === 0 ? servers : servers.toReversed()
        for (const server of order) samples[server.kind].push(await round(server, target))
      }
      figures.push(...compare(what, samples))
    }
    for (const { kind, child } of servers) {
      const { residentMiB } = memoryOf(child.pid ?? 0)
      figures.push({ what: `resident memory after that, ${kind}`, value: residentMiB, unit: 'MiB' })
    }
  } finally {
    for (const { child } of servers) child.kill()
    log.close()
  }
  return {
    title: 'metadata-emulator: warm answers against bare node:http',
    figures,
    notes: [
      `${ROUNDS} rounds of ${REQUESTS} requests for each server in turn, ${LANES} at a time, a connection each; medians`,
      `every server with the flags of the image: ${NODE_FLAGS.join(' ')}`,
      'told: with the metrics and the JSON log of the agent, into a pipe that is read; measured: without the log; silent: without both',
      'the ratio is of server CPU for each request: the client needs more time than the server, and hides it otherwise',
    ],
  }
}

/** What costs what: each is the difference that it makes. */
const WHAT_COSTS = [
  ['gates, checks and the emulator', 'silent', 'bare'],
  ['metrics', 'measured', 'silent'],
  ['the log', 'told', 'measured'],
] as const

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
    ...WHAT_COSTS.map(([part, kind, without]) => ({
      what: `${what}: CPU of ${part}`,
      value: median(
        samples[kind].map((one, turn) => one.cpuMicros - (samples[without][turn] ?? one).cpuMicros),
      ),
      unit: 'µs/request',
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
