import { globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Problem } from './problem.ts'
import { ProblemsError } from './problem.ts'
import type { Located } from './shape.ts'
import type { Position } from './yaml-source.ts'

/** What is gathered while a scenario and the files that it names are read. */
export interface Context {
  readonly file: string
  readonly problems: Problem[]
  readonly files: string[]
}

export interface NamedText {
  readonly path: string
  readonly at: Position
  /** As it is shown. */
  readonly file: string
  readonly text: string
}

/** The texts of the files that a scenario names. */
export function readNamed(named: readonly Located<string>[], context: Context): readonly NamedText[] {
  return named.flatMap(({ value, at, path }) => {
    const files = expandPath(value, dirname(context.file))
    if (files.length === 0) {
      context.problems.push({ file: context.file, ...at, path, message: `there is no file ${value}` })
    }
    return files.flatMap((file) => {
      context.files.push(file)
      const text = collect(context, at, path, () => readText(file, 256 * 1024 * 1024))
      return text === undefined ? [] : [{ path, at, file, text }]
    })
  })
}

/** The files that a path or a pattern stands for, in the order of their names. */
export function expandPath(pattern: string, folder: string): readonly string[] {
  const found = /[*?[{]/.test(pattern)
    ? globSync(pattern, { cwd: folder }).map((file) => join(folder, file))
    : [join(pattern.startsWith('/') ? '' : folder, pattern)]
  return found.filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true).toSorted()
}

/** Runs a reader; its problems are collected, at their own place if they have one. */
export function collect<Value>(
  context: Context,
  at: Position,
  path: string,
  read: () => Value,
): Value | undefined {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error
    context.problems.push(
      ...error.problems.map((problem) => (problem.line === 0 ? { ...problem, ...at, path } : problem)),
    )
    return undefined
  }
}

/** Reads a text file of a bounded size; throws `ProblemsError`. */
export function readText(file: string, maxBytes: number): string {
  const fail = (message: string): never => {
    throw new ProblemsError([{ file, line: 1, column: 1, path: '', message }])
  }
  const status = statSync(file, { throwIfNoEntry: false })
  if (status === undefined) return fail('there is no such file')
  if (!status.isFile()) return fail('it is not a file')
  if (status.size > maxBytes) return fail(`the file has ${status.size} bytes; at most ${maxBytes} are read`)
  return readFileSync(file, 'utf8')
}
