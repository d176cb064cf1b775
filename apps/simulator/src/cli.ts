import yargs from 'yargs'
import { ProblemsError } from './scenario/problem.ts'
import type { Terminal } from './terminal.ts'

/** Runs one command; the value is the exit status: 0, 1 (something is not as expected) or 2 (wrong input). */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0
  const cli = yargs([...args])
    .scriptName('kube2iam-sim')
    .usage('$0 COMMAND\n\nA cluster, AWS and a week of trouble on a laptop and in CI.')
    .command(
      'demo',
      'A dozen kinds of pods ask the real agent for credentials',
      (command) =>
        command.option('keep', {
          type: 'boolean',
          default: false,
          describe: 'Leave the world running to try it by hand',
        }),
      async ({ keep }) => {
        const { demoCommand } = await import('./demo/command.ts')
        status = await demoCommand({ keep }, terminal)
      },
    )
    .demandCommand(1, 'Name a command.')
    .strict()
    .version(false)
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(message)
    })
  try {
    await cli.parseAsync()
    return status
  } catch (error) {
    if (error instanceof ProblemsError) terminal.warn(error.message)
    else if (error instanceof UsageError)
      terminal.warn(`kube2iam-sim: ${error.message} See kube2iam-sim --help.`)
    else {
      terminal.warn(
        `kube2iam-sim: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      )
      return 1
    }
    return 2
  }
}

class UsageError extends Error {}
