import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

/** One figure: what was measured, against which limit or aim, in which unit. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** What it is compared with in the same run (a ratio's other side), or what we aim at. */
  readonly against?: string
  /** `undefined` where there is no aim. */
  readonly aim?: { readonly atMost: number } | { readonly atLeast: number }
}

/** The result of one file in bench/: a title, and the figures in reading order. */
export interface Table {
  readonly title: string
  readonly figures: readonly Figure[]
  /** What a reader must know to judge the figures. */
  readonly notes?: readonly string[]
}

/** What the figures were measured on. */
export const machine = (): string => {
  const [cpu] = cpus()
  const model = cpu?.model.trim() ?? 'unknown processor'
  return `${cpus().length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
}

/** Whether the figure meets its aim; `undefined` where it has none. */
export function meets({ value, aim }: Figure): boolean | undefined {
  if (aim === undefined) return undefined
  return 'atMost' in aim ? value <= aim.atMost : value >= aim.atLeast
}

/** The table as a person reads it. */
export function render({ title, figures, notes = [] }: Table): string {
  const rows = figures.map((figure) => {
    const verdict = meets(figure)
    const aim = figure.aim === undefined ? '' : aimText(figure)
    return [
      figure.what,
      `${digits(figure.value)} ${figure.unit}`,
      aim,
      verdict === undefined ? '' : verdict ? 'met' : 'MISSED',
      figure.against ?? '',
    ]
  })
  const header = ['figure', 'measured', 'aim', '', 'against']
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [
    title,
    line(header),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map(line),
    ...notes.map((note) => `* ${note}`),
  ].join('\n')
}

function aimText({ aim, unit }: Figure): string {
  if (aim === undefined) return ''
  return 'atMost' in aim ? `≤ ${digits(aim.atMost)} ${unit}` : `≥ ${digits(aim.atLeast)} ${unit}`
}

const digits = (value: number): string =>
  Number.isInteger(value) ? String(value) : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)

/** The value below which the given share (0 to 1) of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5)

/** Resident and private memory of a process in MiB, from the kernel's own account (Linux). */
export function memoryOf(pid: number): { readonly residentMiB: number; readonly privateMiB: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kib = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? Number.NaN)
  return { residentMiB: kib('Rss') / 1024, privateMiB: (kib('Private_Clean') + kib('Private_Dirty')) / 1024 }
}

/** Processor time that a process has used, in milliseconds (Linux: clock ticks of 10 ms). */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
