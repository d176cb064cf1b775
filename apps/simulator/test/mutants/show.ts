// Shows that each mutant of the product is caught: `node apps/simulator/test/mutants/show.ts`.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { MUTANTS } from './mutants.ts'

let missed = 0
for (const [index, { name, breaks, caughtBy }] of MUTANTS.entries()) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(import.meta.dirname, 'run-mutant.ts'),
      String(index),
      'run',
      join(import.meta.dirname, '../../scenarios', caughtBy),
    ],
    { encoding: 'utf8' },
  )
  const caught = status === 1 && stdout.includes('not as expected')
  if (!caught) missed += 1
  process.stdout.write(`${caught ? 'caught' : 'MISSED'}  ${name}: ${breaks}\n`)
  const why = stdout.split('\n').filter((line) => /yaml(:\d+:\d+)?: /.test(line))
  for (const line of caught ? why.slice(0, 2) : [stdout, stderr])
    process.stdout.write(`        ${line.replace(/^.*\/scenarios\//, '')}\n`)
}
process.exitCode = missed === 0 ? 0 : 1
