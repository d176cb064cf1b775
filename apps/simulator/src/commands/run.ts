import { globSync, statSync, writeFileSync } from 'node:fs'
import { renderGithub, renderJson, renderJunit, renderTap } from '../output/for-machines.ts'
import { renderRun, renderTimeline } from '../output/for-people.ts'
import type { RunResult } from '../output/run-result.ts'
import { loadScenario } from '../scenario/load.ts'
import type { Problem } from '../scenario/problem.ts'
import { ProblemsError } from '../scenario/problem.ts'
import { runScenario } from '../simulation/run-scenario.ts'
import type { Terminal } from '../terminal.ts'

export const FORMATS = ['table', 'json', 'junit', 'tap', 'github'] as const
export type Format = (typeof FORMATS)[number]

export interface RunCommand {
  readonly files: readonly string[]
  readonly format: Format
  readonly timeline: boolean
  /** Instead of the scenario's own. */
  readonly seed: number | undefined
  /** Where the report goes instead of standard output; a table is then printed as well. */
  readonly output: string | undefined
}

/** `kube2iam-sim run`: 0 as expected, 1 not as expected, 2 a scenario is wrong. Every file is read before one runs. */
export async function runCommand(command: RunCommand, terminal: Terminal): Promise<number> {
  const problems: Problem[] = []
  const scenarios = scenarioFiles(command.files).flatMap((file) => {
    try {
      return [loadScenario(file)]
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error
      problems.push(...error.problems)
      return []
    }
  })
  if (problems.length > 0) throw new ProblemsError(problems)
  const results: RunResult[] = []
  for (const scenario of scenarios) {
    if (terminal.interrupted.aborted) return 130
    const result = await untilInterrupted(
      runScenario({ ...scenario, seed: command.seed ?? scenario.seed }, terminal.interrupted),
      terminal.interrupted,
    )
    if (result === undefined) return 130
    results.push(result)
    if (command.format === 'table' || command.output !== undefined) {
      if (command.timeline) terminal.print(renderTimeline(result))
      terminal.print(renderRun(result, { colour: terminal.colour }))
    }
  }
  const report = render(command.format, results)
  if (report !== undefined) {
    if (command.output === undefined) terminal.print(report.trimEnd())
    else writeFileSync(command.output, report)
  }
  return results.every(({ ok }) => ok) ? 0 : 1
}

/** `undefined` where it failed because somebody wanted no more of it. */
async function untilInterrupted<Value>(
  running: Promise<Value>,
  interrupted: AbortSignal,
): Promise<Value | undefined> {
  try {
    return await running
  } catch (error) {
    if (interrupted.aborted) return undefined
    throw error
  }
}

function render(format: Format, results: readonly RunResult[]): string | undefined {
  switch (format) {
    case 'table':
      return undefined
    case 'json':
      return renderJson(results)
    case 'junit':
      return renderJunit(results)
    case 'tap':
      return renderTap(results)
    case 'github':
      return renderGithub(results)
    default:
      return format satisfies never
  }
}

/** The files that arguments name: a folder stands for the scenarios in it, patterns for what they match. */
function scenarioFiles(named: readonly string[]): readonly string[] {
  return named.flatMap((name) => {
    const isFolder = statSync(name, { throwIfNoEntry: false })?.isDirectory() === true
    if (!isFolder && !/[*?{]/.test(name)) return [name]
    const found = isFolder
      ? globSync('**/*.{yaml,yml}', { cwd: name }).map((file) => `${name.replace(/\/$/, '')}/${file}`)
      : globSync(name)
    if (found.length === 0) {
      throw new ProblemsError([{ file: name, line: 1, column: 1, path: '', message: 'no scenario is there' }])
    }
    return found.toSorted()
  })
}
