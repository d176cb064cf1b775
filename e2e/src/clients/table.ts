import { readFileSync, writeFileSync } from 'node:fs'

/** What was seen of one client in one way of asking. */
export type Cell = Observed | { readonly cannot: string }

export interface Observed {
  /** The requests that the agent saw, in order. */
  readonly sequence: readonly string[]
}

export interface Row {
  readonly name: string
  readonly version: string
  readonly cells: Partial<Record<'imds' | 'v1' | 'required' | 'container', Cell>>
}

const COLUMNS = [
  ['imds', 'as it comes'],
  ['v1', 'without tokens (v1)'],
  ['required', '`--imds-tokens=required`'],
  ['container', 'container protocol'],
] as const

/** The table of docs/clients.md, as Markdown with its columns aligned. */
export function clientsTable(rows: readonly Row[]): string {
  const cells = [
    ['client', 'version', ...COLUMNS.map(([, title]) => title)],
    ...rows.map((row) => [row.name, row.version, ...COLUMNS.map(([key]) => text(row.cells[key]))]),
  ]
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  )
  const lines = cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)))
  lines.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width)),
  )
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n')
}

function text(cell: Cell | undefined): string {
  if (cell === undefined) return 'not run'
  return 'cannot' in cell ? `no: ${cell.cannot}` : `yes: ${cell.sequence.join(', ')}`
}

const BEGIN = '<!-- written by npm run e2e: begin -->'
const END = '<!-- written by npm run e2e: end -->'
const FILE = new URL('../../../docs/clients.md', import.meta.url)

/** Puts the table in its place in docs/clients.md; in CI, where nothing may change, it is printed instead. */
export function writeClientsTable(table: string): void {
  if (process.env['CI'] === 'true') return console.log(table)
  const before = readFileSync(FILE, 'utf8')
  const from = before.indexOf(BEGIN)
  const to = before.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${FILE.pathname} has no place for the table`)
  const after = `${before.slice(0, from)}${BEGIN}\n\n${table}\n\n${before.slice(to)}`
  if (after !== before) writeFileSync(FILE, after)
}
