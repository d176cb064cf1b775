import { globSync } from 'node:fs'
import { renderGithub, renderJson, renderJunit, renderTap } from '../output/for-machines.ts'
import { renderRun, renderTimeline } from '../output/for-people.ts'
import { assertWritable, writeReport } from '../output/report-file.ts'
import type { RunResult } from '../output/run-result.ts'
import { filesBelow, holdsObjects, isFolder } from '../scenario/folder.ts'
import type { Scenario } from '../scenario/load.ts'
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

/**
 * `kube2iam-sim run`: 0 as expected, 1 not as expected, 2 a scenario is wrong, 130 interrupted. Every file is read before
 * one runs.
 */
export async function runCommand(command: RunCommand, terminal: Terminal): Promise<number> {
  const { format, output, timeline } = command
  assertWritable(output, '--output')
  const scenarios = loadAll(scenarioFiles(command.files, terminal))
  const results: RunResult[] = []
  for (const scenario of scenarios) {
    if (terminal.interrupted.aborted) return 130
    const result = await untilInterrupted(
      runScenario({ ...scenario, seed: command.seed ?? scenario.seed }, terminal.interrupted),
      terminal.interrupted,
    )
    if (result === undefined) return 130
    results.push(result)
    if (format === 'table' || output !== undefined) {
      if (timeline) terminal.print(renderTimeline(result))
      terminal.print(renderRun(result, { colour: terminal.colour }))
    }
  }
  if (output !== undefined) writeReport(output, render(format, results, timeline))
  else if (format !== 'table') terminal.print(render(format, results, timeline).trimEnd())
  return results.every(({ ok }) => ok) ? 0 : 1
}

function loadAll(files: readonly string[]): readonly Scenario[] {
  const problems: Problem[] = []
  const scenarios = files.flatMap((file) => {
    try {
      return [loadScenario(file)]
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error
      problems.push(...error.problems)
      return []
    }
  })
  if (problems.length > 0) throw new ProblemsError(problems)
  return scenarios
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

function render(format: Format, results: readonly RunResult[], timeline: boolean): string {
  switch (format) {
    case 'table':
      return results
        .flatMap((result) => [
          ...(timeline ? [renderTimeline(result)] : []),
          renderRun(result, { colour: false }),
        ])
        .join('\n')
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

/**
 * The files that arguments name: a folder stands for the scenarios in it, patterns for what they match. Manifests that lie
 * in a folder beside scenarios, or match the same pattern, are left out and told.
 */
function scenarioFiles(named: readonly string[], terminal: Terminal): readonly string[] {
  const manifests: string[] = []
  const files = named.flatMap((name) => {
    const folder = isFolder(name)
    if (!folder && !/[*?{]/.test(name)) return [name]
    const found = folder ? filesBelow(name, ['yaml', 'yml']) : globSync(name).toSorted()
    const scenarios = found.filter((file) => !holdsObjects(file))
    manifests.push(...found.filter((file) => !scenarios.includes(file)))
    if (scenarios.length === 0) {
      throw new ProblemsError([{ file: name, line: 1, column: 1, path: '', message: 'no scenario is there' }])
    }
    return scenarios
  })
  if (manifests.length > 0) {
    terminal.warn(`kube2iam-sim: left out because they are Kubernetes objects: ${manifests.join(', ')}`)
  }
  return files
}
