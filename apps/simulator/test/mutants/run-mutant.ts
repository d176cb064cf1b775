// Runs the command line with a mutant of the product: `node run-mutant.ts INDEX run SCENARIO…`. The sources on disk stay
// as they are; what Node loads is changed on the way.
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { MUTANTS } from './mutants.ts'

const [, , index = '', ...args] = process.argv
const mutant = MUTANTS[Number(index)]
if (mutant === undefined) throw new Error(`there is no mutant ${index}`)
const left = new Set(mutant.edits)
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.startsWith('file:')) return loaded
    const path = fileURLToPath(url)
    const edits = mutant.edits.filter(({ file }) => path.endsWith(`/${file}`))
    if (edits.length === 0) return loaded
    let source = Buffer.from(loaded.source as Uint8Array).toString()
    for (const edit of edits) {
      if (source.split(edit.from).length !== 2) {
        throw new Error(
          `the mutant is out of date: ${edit.file} does not hold ${JSON.stringify(edit.from)} once`,
        )
      }
      source = source.replace(edit.from, () => edit.to)
      left.delete(edit)
    }
    return { ...loaded, source }
  },
})
const { run } = await import('../../src/cli.ts')
const { processTerminal } = await import('../../src/terminal.ts')
process.exitCode = await run(args, processTerminal())
if (left.size > 0)
  throw new Error(`the mutant was not loaded: ${[...left].map(({ file }) => file).join(', ')}`)
