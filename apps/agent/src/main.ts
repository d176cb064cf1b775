#!/usr/bin/env node
import { program } from './program.ts'

program(process.argv.slice(2), process.env).then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    process.stderr.write(
      `kube2iam: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
    process.exitCode = 1
  },
)
