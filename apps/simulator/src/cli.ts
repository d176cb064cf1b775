import yargs from 'yargs'
import { FLEET_HELP, fleetCommand } from './fleet/command.ts'
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
    .command(
      'fleet',
      'What a fleet does to STS: calls per second, throttling, time to first credentials, gaps, memory',
      (command) =>
        FLEET_HELP.reduce(
          (all, [name, describe, standard]) =>
            all.option(name, { type: 'string', describe, defaultDescription: standard }),
          command
            .option('vary', { type: 'string', array: true, describe: 'Compare settings: option=value,value' })
            .option('csv', { type: 'string', describe: 'Write the figures to this file' })
            .option('json', { type: 'string', describe: 'Write everything to this file' })
            .option('html', { type: 'string', describe: 'Write a report with plots to this file' }),
        ),
      (parsed) => {
        const given = FLEET_HELP.flatMap(([name]) => {
          const value: unknown = parsed[name]
          return typeof value === 'string' ? [[name, value] as const] : []
        })
        const files = Object.fromEntries(
          (['csv', 'json', 'html'] as const).flatMap((kind) => {
            const file = parsed[kind]
            return file === undefined ? [] : [[kind, file] as const]
          }),
        )
        status = fleetCommand(
          { given: Object.fromEntries(given), vary: parsed.vary ?? [], ...files },
          terminal,
        )
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
