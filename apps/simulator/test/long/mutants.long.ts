import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { MUTANTS } from '../mutants/mutants.ts'

const script = join(import.meta.dirname, '../mutants/run-mutant.ts')
const library = join(import.meta.dirname, '../../scenarios')

const play = async (mutant: number, file: string): Promise<{ status: number; output: string }> => {
  try {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [script, String(mutant), 'run', file],
      {
        maxBuffer: 64 * 1024 * 1024,
      },
    )
    return { status: 0, output: stdout + stderr }
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string }
    return { status: code ?? 1, output: stdout + stderr }
  }
}

describe('a broken product does not pass the library of scenarios', () => {
  test.each(MUTANTS.map((mutant, index) => ({ index, ...mutant })))(
    '$name',
    { timeout: 120_000 },
    async ({ index, caughtBy }) => {
      const { status, output } = await play(index, join(library, caughtBy))
      expect(output).not.toContain('the mutant')
      expect({ status, broken: /not as expected/.test(output) }, output).toEqual({ status: 1, broken: true })
    },
  )
})
