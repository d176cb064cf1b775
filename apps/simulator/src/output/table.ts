import { styleText } from 'node:util'
import { showable } from '@kube2iam-ts/core'

export type CellStyle = 'plain' | 'good' | 'bad' | 'dim' | 'bold'

export interface Cell {
  readonly text: string
  readonly style: CellStyle
}

export interface TextTable {
  readonly head: readonly string[]
  readonly rows: readonly (readonly (Cell | string)[])[]
}

export interface TableOptions {
  /** Colours, for terminals. */
  readonly colour: boolean
}

/** What cells hold is made harmless. Columns as wide as their widest cell, two spaces between, no lines: fit for terminals, logs and pull requests. */
export function renderTable({ head, rows }: TextTable, { colour }: TableOptions): string {
  const cells = rows.map((row) => row.map(toCell))
  const widths = head.map((title, column) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[column]?.text ?? ''))),
  )
  const line = (row: readonly Cell[]): string =>
    row
      .map((cell, column) => paint(cell, colour) + padding(cell.text, widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [
    line(head.map((text) => ({ text: text.toUpperCase(), style: 'dim' }))),
    ...cells.map((row) => line(row)),
  ].join('\n')
}

export const good = (text: string): Cell => ({ text, style: 'good' })
export const bad = (text: string): Cell => ({ text, style: 'bad' })
export const dim = (text: string): Cell => ({ text, style: 'dim' })
export const bold = (text: string): Cell => ({ text, style: 'bold' })

const toCell = (cell: Cell | string): Cell =>
  typeof cell === 'string' ? { text: showable(cell), style: 'plain' } : { ...cell, text: showable(cell.text) }

const STYLES = { good: 'green', bad: 'red', dim: 'dim', bold: 'bold' } as const

export function paint({ text, style }: Cell, colour: boolean): string {
  if (!colour || style === 'plain') return text
  return styleText(STYLES[style], text, { validateStream: false })
}

/** Code points, which is right for everything these tables hold (no wide or combining characters). */
const displayWidth = (text: string): number => Array.from(text).length

const padding = (text: string, width: number): string => ' '.repeat(Math.max(0, width - displayWidth(text)))
