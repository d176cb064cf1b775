#!/usr/bin/env node
import { runOnNewerNode } from './newer-node.ts'

// What follows the first line of `cli` needs a newer Node than some machines have; so it is loaded only there.
const status = await runOnNewerNode(process.argv.slice(1))
if (status === undefined) {
  const [{ run }, { processTerminal }] = await Promise.all([import('./cli.ts'), import('./terminal.ts')])
  process.exitCode = await run(process.argv.slice(2), processTerminal())
} else {
  process.exitCode = status
}
