import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

/** One thing that a task runs, with the name under which its outcome is printed. */
export interface Step {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
}

export interface StepResult {
  readonly step: Step
  readonly ok: boolean
  readonly seconds: number
  readonly output: string
}

/** Folders that are workspace members, relative to the root. */
export function members(...groups: readonly string[]): string[] {
  return groups.flatMap((group) =>
    readdirSync(join(root, group), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${group}/${entry.name}`),
  )
}

/** Runs one step with its output passed straight through, and ends the process with its status if it fails. */
export async function runThrough(step: Step): Promise<void> {
  const status = await new Promise<number>((resolve) => {
    const child = spawn(step.command, step.args, { cwd: step.cwd ?? root, stdio: 'inherit' })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    child.on('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
    child.on('error', (error) => {
      process.stderr.write(`${step.name}: ${error.message}\n`)
      resolve(1)
    })
  })
  if (status !== 0) process.exit(status)
}

/** Runs steps side by side, prints a line for each and the output of those that failed; whether all succeeded. */
export async function runAll(steps: readonly Step[]): Promise<boolean> {
  const queue = [...steps]
  const results: StepResult[] = []
  const worker = async (): Promise<void> => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      const result = await capture(step)
      results.push(result)
      process.stdout.write(
        `${result.ok ? 'ok  ' : 'FAIL'} ${result.seconds.toFixed(1).padStart(6)} s  ${step.name}\n`,
      )
      if (!result.ok) process.stdout.write(`${result.output.trimEnd()}\n`)
    }
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
  const failed = results.filter((result) => !result.ok)
  process.stdout.write(
    failed.length === 0
      ? `All ${results.length} checks passed.\n`
      : `${failed.length} of ${results.length} checks failed: ${failed.map((result) => result.step.name).join(', ')}\n`,
  )
  return failed.length === 0
}

function capture(step: Step): Promise<StepResult> {
  const started = performance.now()
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(step.command, step.args, { cwd: step.cwd ?? root, stdio: ['ignore', 'pipe', 'pipe'] })
    const finish = (ok: boolean) =>
      resolve({ step, ok, seconds: (performance.now() - started) / 1000, output })
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('error', (error) => {
      output += error.message
      finish(false)
    })
    child.on('close', (code) => finish(code === 0))
  })
}
