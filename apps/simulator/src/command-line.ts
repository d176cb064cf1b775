import { readFileSync } from 'node:fs'
import { ProblemsError } from './scenario/problem.ts'
import type { Terminal } from './terminal.ts'
import { UsageError } from './usage-error.ts'

/** Options that may be given again and again. */
const LISTS = new Set(['_', '--', 'files', 'manifests', 'iam', 'vary'])

/** A value that is given twice would be a list, and a switch would be one too: neither is what anybody means. */
export function refuseRepeated(parsed: Readonly<Record<string, unknown>>): void {
  const twice = Object.keys(parsed).find(
    (name) => !LISTS.has(name) && !/[A-Z]/.test(name) && Array.isArray(parsed[name]),
  )
  if (twice !== undefined) {
    throw new UsageError(`${twice.length === 1 ? '-' : '--'}${twice} is given more than once.`)
  }
}

/** A whole number within bounds; yargs would take "abc" for NaN and "1.5" for a port. */
export function wholeNumber(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value <= most) return value
  throw new UsageError(`--${option}: expected a whole number from 0 to ${most}, found "${text}".`)
}

/** The version of this package. */
export function packageVersion(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}

/** EX_SOFTWARE of sysexits: not the input is wrong but the program. */
const BUG = 70
/** What the machine refuses although the program is right. */
const REFUSALS = new Set([
  'EACCES',
  'EADDRINUSE',
  'EADDRNOTAVAIL',
  'EDQUOT',
  'EEXIST',
  'EISDIR',
  'EMFILE',
  'ENOENT',
  'ENOSPC',
  'ENOTDIR',
  'EPERM',
  'EROFS',
])

/** Says what went wrong, and gives the exit status: 2 for the input or the machine, 70 for a bug. */
export function explainFailure(error: unknown, terminal: Terminal): number {
  if (error instanceof ProblemsError) terminal.warn(error.message)
  else if (error instanceof UsageError) {
    const { message } = error
    terminal.warn(`kube2iam-sim: ${message}${/[.?!]$/.test(message) ? '' : '.'} See kube2iam-sim --help.`)
  } else if (error instanceof Error && 'code' in error && REFUSALS.has(String(error.code))) {
    terminal.warn(`kube2iam-sim: ${error.message}`)
  } else {
    terminal.warn(
      `kube2iam-sim: this is a bug of kube2iam-sim: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    )
    return BUG
  }
  return 2
}
