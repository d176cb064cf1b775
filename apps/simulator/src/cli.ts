import yargs, { type Argv } from 'yargs'
import type { CheckSources } from './check/inputs.ts'
import { CHECK_FORMATS, checkCommand } from './commands/check.ts'
import { explainCommand } from './commands/explain.ts'
import { initCommand, schemaCommand } from './commands/init.ts'
import { FORMATS, runCommand } from './commands/run.ts'
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
          .option('seed', { type: 'number', describe: 'Another seed than the scenario’s' })
          .option('output', { type: 'string', alias: 'o', describe: 'Write the report to this file' }),
      async ({ files, format, timeline, seed, output }) => {
        status = await runCommand({ files, format, timeline, seed, output }, terminal)
      },
    )
    .command(
      'check [manifests..]',
      'Which workload gets which role, without running anything; against a baseline, what changes',
      (command) =>
        withSources(command)
          .option('baseline', { type: 'string', describe: 'What an earlier check wrote with --format json' })
          .option('from', {
            choices: ['kiam', 'node-role'] as const,
            describe: 'Plan the migration from what was there',
          })
          .option('format', {
            choices: CHECK_FORMATS,
            default: 'table' as const,
            describe: 'How the result is reported',
          })
          .option('output', { type: 'string', alias: 'o', describe: 'Write the report to this file' }),
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
            describe: 'namespace/name of a pod or workload',
          })
          .option('requested', { type: 'string', describe: 'The role that it asks for by name' }),
      async (parsed) => {
        const { pod, requested } = parsed
        status = await explainCommand({ ...sourcesOf(parsed), pod, requested }, terminal)
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
            describe: 'The pod (namespace/name) that tools on this machine are',
          })
          .option('page-port', {
            type: 'number',
            default: 0,
            describe: 'Port of the web page; 0 chooses one',
          }),
      async ({ scenario, as, pagePort }) => {
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
            all.option(name, { type: 'string', describe, defaultDescription: standard }),
          command
            .option('vary', { type: 'string', array: true, describe: 'Compare settings: option=value,value' })
            .option('csv', { type: 'string', describe: 'Write the figures to this file' })
            .option('json', { type: 'string', describe: 'Write everything to this file' })
            .option('html', { type: 'string', describe: 'Write a report with plots to this file' }),
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

/** What `check` and `explain` read. Everything after `--` is the agent's own arguments. */
const withSources = <T>(command: Argv<T>) =>
  command
    .positional('manifests', {
      type: 'string',
      array: true,
      describe: 'Kubernetes manifests, or what kubectl get -o yaml wrote',
    })
    .option('iam', {
      type: 'string',
      array: true,
      describe: 'IAM documents (get-account-authorization-details)',
    })
    .option('daemonset', {
      type: 'string',
      describe: 'Manifest with the agent’s DaemonSet, for its arguments',
    })
    .option('scenario', { type: 'string', describe: 'A scenario file, for cluster, aws and agent' })
    .option('node-role', { type: 'string', describe: 'ARN of the nodes’ role' })

interface ParsedSources {
  readonly manifests: string[] | undefined
  readonly iam: string[] | undefined
  readonly daemonset: string | undefined
  readonly scenario: string | undefined
  readonly nodeRole: string | undefined
  readonly '--'?: unknown
}

const sourcesOf = (parsed: ParsedSources): CheckSources => ({
  manifests: parsed.manifests ?? [],
  iam: parsed.iam ?? [],
  daemonset: parsed.daemonset,
  scenario: parsed.scenario,
  nodeRole: parsed.nodeRole,
  args: Array.isArray(parsed['--']) ? parsed['--'].map(String) : [],
})
