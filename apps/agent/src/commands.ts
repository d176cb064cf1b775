import { flagRows } from '@kube2iam-ts/agent-runtime'
import { isCoded } from '@kube2iam-ts/core'
import yargs from 'yargs'
import { versionLine } from './build-info.ts'
import { install, plan, status, uninstall } from './commands/capture.ts'
import { say, UsageError } from './commands/command.ts'
import { doctor } from './commands/doctor.ts'
import { explain } from './commands/explain.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Exit statuses of the errors by which somebody asked for what cannot be; every other failure is 1. */
const WRONG_QUESTION = new Set(['CONFIG_INVALID', 'CAPTURE_INVALID', 'POLICY_INVALID'])

const AGENT_FLAGS_TOO = 'Every flag of the agent is taken too: kube2iam --help lists them.'

/** Runs a command. Resolves with the exit status; what went wrong is one line on standard error. */
export async function runCommand(args: readonly string[], environment: Environment): Promise<number> {
  let result = 0
  const cli = table(args, environment, async (work) => {
    result = await work
  })
  try {
    // With a callback, yargs hands the help over instead of printing it.
    let help = ''
    await cli.parseAsync([...args], {}, (_error, _argv, output) => {
      help = output
    })
    return help === '' ? result : await say(`${help}\n\n${AGENT_FLAGS_TOO}\n`)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const code = isCoded(error) ? error.code : undefined
    if (code === undefined && !(error instanceof UsageError)) throw error
    process.stderr.write(`kube2iam: ${error.message.replaceAll(/\s+/g, ' ')}\n`)
    return code === undefined || WRONG_QUESTION.has(code) ? 2 : 1
  }
}

/** What `kube2iam --help` prints: the commands, and every flag of the agent by chapter. */
export async function helpText(): Promise<string> {
  let cli = table([], {}, async () => {})
  for (const [, flag] of flagRows) {
    const defaultText = flag.default === '' ? '' : ` [default: ${flag.default}]`
    cli = cli.option(flag.name, {
      group: `${GROUPS[flag.group]}:`,
      describe: `${flag.doc}${defaultText}`,
    })
  }
  return cli.getHelp()
}

const GROUPS = {
  kubernetes: 'Kubernetes',
  roles: 'Roles of pods',
  policy: 'What namespaces allow',
  sessions: 'Sessions',
  metadata: 'What pods are answered',
  listening: 'Where it listens',
  interception: 'Interception',
  telemetry: 'Log and health',
} as const

/** The commands. Whatever is no option of a command's own is a flag of the agent, and read as such. */
function table(
  args: readonly string[],
  environment: Environment,
  run: (work: Promise<number>) => Promise<void>,
) {
  const flagsOf = (argv: { _: (string | number)[] }, words: number) => ({
    args: argv._.slice(words).map(String),
    environment,
  })
  const cli = yargs()
  // The word "help" is a command of its own here, which yargs' help would take for its.
  const withHelp = args.includes('--help') ? cli.help('help') : cli.help(false)
  return withHelp
    .scriptName('kube2iam')
    .usage('$0 [flags]            run the agent of this node\n$0 <command> [flags]')
    .parserConfiguration({
      'unknown-options-as-args': true,
      'boolean-negation': false,
      'camel-case-expansion': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
      'greedy-arrays': false,
    })
    .exitProcess(false)
    .version(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new UsageError(message ?? 'this command cannot be understood')
    })
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .command('version', 'print the version', {}, (argv) => {
      nothingMore(argv)
      return run(say(`${versionLine}\n`))
    })
    .command(
      'explain',
      'say which role a pod gets, and every rule that was looked at',
      {
        pod: { type: 'string', default: '', describe: 'NAMESPACE/NAME' },
        role: { type: 'string', describe: 'the role that is asked for; by default its own' },
        manifests: {
          type: 'array',
          string: true,
          describe: 'a file or folder of objects to read instead of asking the API server; may be repeated',
        },
        json: { type: 'boolean', default: false, describe: 'print JSON' },
      },
      (argv) => run(explain({ ...argv, ...flagsOf(argv, 1) })),
    )
    .command(
      'install',
      'keep pods from the metadata service until the agent redirects them: for an init container or a boot unit',
      {},
      (argv) => run(install(flagsOf(argv, 1))),
    )
    .command(
      'uninstall',
      'remove the rules of the agent',
      {
        'also-kube2iam': {
          type: 'boolean',
          default: false,
          describe: 'also remove what jtblin/kube2iam and kiam left, after showing it',
        },
        'dry-run': { type: 'boolean', default: false, describe: 'only show what would be removed' },
      },
      (argv) =>
        run(
          uninstall({
            alsoOthers: argv['also-kube2iam'],
            dryRun: argv['dry-run'],
            ...flagsOf(argv, 1),
          }),
        ),
    )
    .command('iptables', 'plan: print what would be changed; status: print what is there', (cli) =>
      cli
        .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
        .command('plan', 'print what the agent would change', {}, (argv) =>
          run(plan({ json: argv['json'] === true, ...flagsOf(argv, 2) })),
        )
        .command('status', 'print what is there', {}, (argv) =>
          run(status({ json: argv['json'] === true, ...flagsOf(argv, 2) })),
        )
        .command('*', false, {}, () => {
          throw new UsageError('iptables needs to know what: give plan or status')
        }),
    )
    .command(
      'doctor',
      'look for what keeps pods of this node from their credentials, each finding with its remedy',
      { json: { type: 'boolean', default: false, describe: 'print JSON' } },
      (argv) => run(doctor({ json: argv.json, ...flagsOf(argv, 1) })),
    )
    .command('help', 'print this', {}, (argv) => {
      nothingMore(argv)
      return run(helpText().then((text) => say(`${text}\n`)))
    })
    .command('*', false, {}, (argv) => {
      throw new UsageError(`"${String(argv._[0] ?? '')}" is no command: kube2iam --help lists them`)
    })
}

function nothingMore({ _: [command, more] }: { _: (string | number)[] }): void {
  if (more !== undefined) throw new UsageError(`${String(command)} takes nothing more: leave out "${more}"`)
}
