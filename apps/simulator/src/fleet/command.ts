import { assertWritable, writeReport } from '../output/report-file.ts'
import type { TableOptions } from '../output/table.ts'
import { renderTable } from '../output/table.ts'
import type { Terminal } from '../terminal.ts'
import type { FleetResult } from './model.ts'
import { createFleetRun } from './model.ts'
import type { FleetOptions } from './options.ts'
import { checkFleet, DEFAULT_FLEET, FLEET_FLAGS, optionText, readFleetFlag } from './options.ts'
import type { NamedResult } from './report.ts'
import { fleetCsv, fleetJson, fleetTable } from './report.ts'
import { fleetHtml } from './report-html.ts'
import { variantsOf } from './vary.ts'

export interface FleetCommand {
  /** Option texts by flag name, as given. */
  readonly given: Readonly<Record<string, string>>
  readonly vary: readonly string[]
  /** Files to write. */
  readonly csv?: string
  readonly json?: string
  readonly html?: string
}

/** How much is simulated before the process looks up: tens of milliseconds of work on the largest fleet. */
const AT_A_TIME_MS = 60_000

/** `kube2iam-sim fleet`: exit status 2 where an option is wrong. */
export async function fleetCommand(command: FleetCommand, terminal: Terminal): Promise<number> {
  const options: FleetOptions = { ...DEFAULT_FLEET }
  for (const [name, text] of Object.entries(command.given)) {
    const change = readFleetFlag(name, text)
    if (typeof change === 'string') return wrong(`--${change}`, terminal)
    Object.assign(options, change)
  }
  const variants = variantsOf(options, command.vary)
  if (typeof variants === 'string') return wrong(variants, terminal)
  for (const variant of variants) {
    const problem = checkFleet(variant.options)
    if (problem !== undefined) return wrong(problem, terminal)
  }
  for (const kind of ['csv', 'json', 'html'] as const) assertWritable(command[kind], `--${kind}`)
  const results: NamedResult[] = []
  for (const { name, options: varied } of variants) {
    const result = await simulateInTurns(varied, terminal.interrupted)
    if (result === undefined) return 130
    results.push({ name, result })
    if (variants.length > 1 || result.tookMs > 2000) {
      terminal.warn(
        `${name}: ${result.stsCalls.toLocaleString('en-US')} STS calls simulated in ${(result.tookMs / 1000).toFixed(1)} s`,
      )
    }
  }
  const table: TableOptions = { colour: terminal.colour }
  terminal.print(`${fleetTitle(variants.map((variant) => variant.options))}\n`)
  terminal.print(renderTable(fleetTable(results), table))
  for (const [file, text] of [
    [command.csv, fleetCsv],
    [command.json, fleetJson],
    [command.html, fleetHtml],
  ] as const) {
    if (file !== undefined) {
      writeReport(file, text(results))
      terminal.warn(`wrote ${file}`)
    }
  }
  return 0
}

/** What all variants have in common in words, and what they differ in as `1, 2`. */
function fleetTitle(all: readonly FleetOptions[]): string {
  const of = (option: keyof FleetOptions): string =>
    [...new Set(all.map((options) => optionText(option, options)))].join(', ')
  return `${of('nodes')} nodes × ${of('podsPerNode')} pods, ${of('hours')} h, quota ${of('quota')}/s × ${of('accounts')} accounts × ${of('regions')} regions`
}

/** `undefined`: interrupted. */
async function simulateInTurns(
  options: FleetOptions,
  interrupted: AbortSignal,
): Promise<FleetResult | undefined> {
  const began = performance.now()
  const run = createFleetRun(options)
  for (let until = AT_A_TIME_MS; run.runUntil(until); until += AT_A_TIME_MS) {
    // Signals are heard between turns of the event loop only.
    await new Promise((resolve) => setImmediate(resolve))
    if (interrupted.aborted) return undefined
  }
  return run.result(performance.now() - began)
}

/** The flags of the command, for help. */
export const FLEET_HELP: readonly (readonly [name: string, doc: string, standard: string])[] = Object.entries(
  FLEET_FLAGS,
).map(([name, { option, doc, right }]) => [name, `${doc} (${right})`, optionText(option, DEFAULT_FLEET)])

function wrong(message: string, terminal: Terminal): number {
  terminal.warn(`kube2iam-sim fleet: ${message}`)
  return 2
}
