import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from './cli.ts'
import { createLeftovers } from './terminal.ts'
import { collectingTerminal } from './testing/collecting-terminal.ts'

// The command as a process, in a process group and with a folder for temporary files of its own.
const main = join(import.meta.dirname, 'main.ts')
let folder = ''
let started: ChildProcess[] = []
const agents = new Set<number>()

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kube2iam-interrupted-'))
})
afterEach(() => {
  for (const pid of [...agents, ...started.map(({ pid }) => pid ?? 0)])
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  agents.clear()
  started = []
  rmSync(folder, { recursive: true, force: true })
})

interface Running {
  readonly pid: number
  output(): string
  readonly ended: Promise<number | null>
  /** As Ctrl-C in a terminal: to the whole group. */
  interrupt(): void
}

function sim(...args: string[]): Running {
  const child = spawn(process.execPath, [main, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], TMPDIR: folder, AWS_EC2_METADATA_DISABLED: 'true' },
  })
  started.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  }
  const pid = child.pid ?? 0
  return {
    pid,
    output: () => output,
    ended: new Promise((resolve) => {
      child.on('close', resolve)
    }),
    interrupt: () => void process.kill(-pid, 'SIGINT'),
  }
}

/** The processes that it started and that run now, by the kernel's own list. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
const left = (): readonly string[] => readdirSync(folder).filter((name) => name.startsWith('kube2iam-sim-'))

async function agentsOf(pid: number): Promise<void> {
  await expect
    .poll(() => {
      for (const child of childrenOf(pid)) agents.add(child)
      return agents.size
    })
    .toBeGreaterThan(0)
}

test('Ctrl-C as soon as an agent runs ends a demonstration, with 130 and nothing left', async () => {
  const { pid, interrupt, ended, output } = sim('demo')
  await agentsOf(pid)
  interrupt()
  expect(await ended).toBe(130)
  expect(output()).not.toContain('pods got')
  expect({ alive: [...agents].filter(isAlive), folders: left() }).toEqual({ alive: [], folders: [] })
})

test('a second Ctrl-C takes along agents that do not end, and the folder', async () => {
  const file = join(folder, 'world.yaml')
  writeFileSync(
    file,
    'version: 1\nname: x\ncluster: {pods: {a/web: {ip: 10.0.0.7, role: app}}}\naws: {roles: {app: {}}}\n',
  )
  const { pid, interrupt, ended, output } = sim('serve', file)
  await expect.poll(output).toContain('Ctrl-C stops everything.')
  await agentsOf(pid)
  for (const agent of agents) process.kill(agent, 'SIGSTOP')
  // Copies of one keystroke come within a moment; so the second is sent until it counts as one.
  const again = setInterval(interrupt, 100)
  expect(await ended).toBe(130)
  clearInterval(again)
  await expect.poll(() => [...agents].filter(isAlive)).toEqual([])
  expect(left()).toEqual([])
})

test('Ctrl-C ends a fleet and a scenario in the middle', async () => {
  const file = join(folder, 'long.yaml')
  const days = Array.from({ length: 12 }, () => '  - advance: 31d').join('\n')
  writeFileSync(
    file,
    `version: 1\nname: x\ncluster: {pods: {a/web: {ip: 10.0.0.7, role: app}}}\naws: {roles: {app: {}}}\nsteps:\n${days}\n`,
  )
  for (const args of [
    ['fleet', '--nodes', '5000', '--pods', '100', '--hours', '700'],
    ['run', file],
  ]) {
    const terminal = collectingTerminal()
    const ended = run(args, terminal)
    await new Promise((resolve) => setImmediate(resolve))
    terminal.interrupt()
    expect(await ended).toBe(130)
    expect(terminal.printed()).toBe('')
  }
})

test('what is left over is undone once, the latest first, and one failure stops no other', () => {
  const { leftovers, undoAll } = createLeftovers()
  const undone: string[] = []
  leftovers.add(() => undone.push('folder'))
  const inOrder = leftovers.add(() => undone.push('ended in order'))
  leftovers.add(() => {
    throw new Error('gone already')
  })
  leftovers.add(() => undone.push('agent'))
  inOrder()
  undoAll()
  undoAll()
  expect(undone).toEqual(['agent', 'folder'])
})
