import yargs from 'yargs'
import { CHECK_FORMATS } from './check/render.ts'
import { explainFailure, packageVersion, refuseRepeated, wholeNumber } from './command-line.ts'
import { checkCommand } from './commands/check.ts'
import { explainCommand } from './commands/explain.ts'
import { initCommand, schemaCommand } from './commands/init.ts'
import { FORMATS, runCommand } from './commands/run.ts'
import { FLEET_HELP, fleetCommand } from './fleet/command.ts'
import { OUTPUT, sourcesOf, withSources } from './source-options.ts'
import type { Terminal } from './terminal.ts'
import { UsageError } from './usage-error.ts'

const LARGEST_SEED = 4_294_967_295

/**
 * Runs one command; the value is the exit status: 0, 1 (something is not as expected), 2 (wrong input), 70 (a bug), or 130
 * (interrupted).
 */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0
  const cli = yargs()
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
      'run <files..>',
      'Play scenarios under simulated time',
      (command) =>
        command
          .positional('files', {
            type: 'string',
            array: true,
            demandOption: true,
            describe: 'Scenario files, folders or patterns',
          })
          .option('format', {
            choices: FORMATS,
            default: 'table' as const,
            describe: 'How the result is reported',
          })
          .option('timeline', { type: 'boolean', default: false, describe: 'Print everything that happened' })
          .option('seed', {
            type: 'string',
            requiresArg: true,
            describe: 'Another seed than the scenario’s',
          })
          .option('output', OUTPUT),
      async ({ files, format, timeline, seed: text, output }) => {
        const seed = wholeNumber('seed', text, LARGEST_SEED)
        status = await runCommand({ files, format, timeline, seed, output }, terminal)
      },
    )
    .command(
      'check [manifests..]',
      'Which workload gets which role, without running anything; against a baseline, what changes',
      (command) =>
        withSources(command)
          .option('baseline', {
            type: 'string',
            requiresArg: true,
            describe: 'What an earlier check wrote with --format json',
          })
          .option('from', {
            choices: ['kiam', 'node-role'] as const,
            describe: 'Plan the migration from what was there',
          })
          .option('format', {
            choices: CHECK_FORMATS,
            default: 'table' as const,
            describe: 'How the result is reported',
          })
          .option('output', OUTPUT),
      async (parsed) => {
        const { baseline, from, format, output } = parsed
        status = await checkCommand({ ...sourcesOf(parsed), baseline, from, format, output }, terminal)
      },
    )
    .command(
      'explain [manifests..]',
      'The decision about one pod, with every rule that was looked at',
      (command) =>
        withSources(command)
          .option('pod', {
            type: 'string',
            demandOption: true,
            requiresArg: true,
            describe: 'namespace/name of a pod or workload',
          })
          .option('role', {
            type: 'string',
            requiresArg: true,
            describe: 'The role that it asks for by name',
          })
          // What --role was called before; the agent's own explain has always had --role.
          .option('requested', { type: 'string', requiresArg: true, hidden: true }),
      async (parsed) => {
        const { pod, role, requested } = parsed
        status = await explainCommand({ ...sourcesOf(parsed), pod, requested: role ?? requested }, terminal)
      },
    )
    .command(
      'serve <scenario>',
      'The scenario’s world on loopback with the real agent, to develop against',
      (command) =>
        command
          .positional('scenario', { type: 'string', demandOption: true, describe: 'Scenario file' })
          .option('as', {
            type: 'string',
            requiresArg: true,
            describe: 'The pod (namespace/name) that tools on this machine are',
          })
          .option('page-port', {
            type: 'string',
            requiresArg: true,
            default: '0',
            describe: 'Port of the web page; 0 chooses one',
          }),
      async ({ scenario, as, pagePort: text }) => {
        const pagePort = wholeNumber('page-port', text, 65_535) ?? 0
        const { serveCommand } = await import('./commands/serve.ts')
        status = await serveCommand({ file: scenario, self: as, pagePort }, terminal)
      },
    )
    .command(
      'init [file]',
      'Write a first scenario that explains itself',
      (command) => command.positional('file', { type: 'string', default: 'scenario.yaml' }),
      ({ file }) => {
        status = initCommand(file, terminal)
      },
    )
    .command('schema', 'Print the JSON Schema of scenarios', {}, () => {
      status = schemaCommand(terminal)
    })
    .command(
      'fleet',
      'What a fleet does to STS: calls per second, throttling, time to first credentials, gaps, memory',
      (command) =>
        FLEET_HELP.reduce(
          (all, [name, describe, standard]) =>
            all.option(name, { type: 'string', requiresArg: true, describe, defaultDescription: standard }),
          command
            .option('vary', {
              type: 'string',
              array: true,
              requiresArg: true,
              describe: 'Compare settings: option=value,value',
            })
            .option('csv', { type: 'string', requiresArg: true, describe: 'Write the figures to this file' })
            .option('json', { type: 'string', requiresArg: true, describe: 'Write everything to this file' })
            .option('html', {
              type: 'string',
              requiresArg: true,
              describe: 'Write a report with plots to this file',
            }),
        ),
      async (parsed) => {
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
        status = await fleetCommand(
          { given: Object.fromEntries(given), vary: parsed.vary ?? [], ...files },
          terminal,
        )
      },
    )
    .demandCommand(1, 'Name a command.')
    .parserConfiguration({ 'populate--': true })
    .strict()
    .middleware(refuseRepeated, true)
    .version(packageVersion())
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      // Its own refusals come as errors too, where they are found while the words are taken apart.
      throw error === undefined || error.name === 'YError' ? new UsageError(message) : error
    })
  try {
    // Help and version are handed over instead of printed, so that they go where everything goes.
    await cli.parseAsync([...args], {}, (_error, _parsed, said) => {
      if (said !== '') terminal.print(said)
    })
    return status
  } catch (error) {
    return explainFailure(error, terminal)
  }
}
