import { accessSync, constants, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { UsageError } from '../usage-error.ts'

/** Throws `UsageError` where a report could not be written: before the work, and not after it. */
export function assertWritable(file: string | undefined, option: string): void {
  if (file === undefined) return
  const fail = (why: string): never => {
    throw new UsageError(`${option} ${file}: ${why}.`)
  }
  if (file === '') fail('expected the name of a file')
  const status = statSync(file, { throwIfNoEntry: false })
  if (status?.isDirectory() === true) fail('it is a folder')
  const folder = dirname(file)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    fail(`there is no folder ${folder}`)
  try {
    accessSync(status === undefined ? folder : file, constants.W_OK)
  } catch {
    fail('it cannot be written')
  }
}

/** Writes a report; a disk that is full in the end is told in one line. */
export function writeReport(file: string, text: string): void {
  writeFileSync(file, `${text.trimEnd()}\n`)
}
