import { globSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { machine, render, type Table } from '../../bench/src/table.ts'
import { root } from '../lib/step.ts'

// Every file of bench/src that exports `run`, one after the other, so that nothing measures next to anything else.
// `-- pod-registry` runs one; `-- --json FILE` writes the figures as well.
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' } },
})
const files = globSync('bench/src/*.ts', { cwd: root })
  .filter((file) => basename(file) !== 'table.ts')
  .filter((file) => positionals.length === 0 || positionals.includes(basename(file, '.ts')))
  .toSorted()
const tables: Table[] = []
process.stdout.write(`${machine()}\n`)
for (const file of files) {
  const module = (await import(join(root, file))) as { run?: () => Promise<Table | readonly Table[]> }
  if (module.run === undefined) continue
  for (const table of [await module.run()].flat()) {
    tables.push(table)
    process.stdout.write(`\n${render(table)}\n`)
  }
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ machine: machine(), tables }, null, 2)}\n`)
}
