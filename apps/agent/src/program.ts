import { type AgentSettings, explainProblems, parseSettings } from '@kube2iam-ts/agent-runtime'
import { versionLine } from './build-info.ts'
import { readConfig } from './config-file.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What the binary does with its arguments. Exit statuses: 0 done, 1 failed, 2 asked for something that makes no sense. */
export async function program(args: readonly string[], environment: Environment): Promise<number> {
  const [first] = args
  // A word first is a command; kube2iam has none, so that an existing DaemonSet's arguments always run the agent.
  if (first !== undefined && !first.startsWith('-')) {
    const { runCommand } = await import('./commands.ts')
    return runCommand(args, environment)
  }
  const settings = await settingsFrom(args, environment)
  if (typeof settings === 'number') return settings
  if (settings.version) return say(versionLine, 0)
  const { run } = await import('./run.ts')
  return run(settings, environment)
}

async function settingsFrom(
  args: readonly string[],
  environment: Environment,
): Promise<AgentSettings | number> {
  const file = await readConfig({ args, environment })
  if (file !== undefined && 'wrong' in file) return complain(explainProblems([file]))
  const parsed = parseSettings({ args, environment, ...(file === undefined ? {} : { file }) })
  if (parsed.kind === 'settings') return parsed.settings
  if (parsed.kind === 'invalid') return complain(explainProblems(parsed.problems))
  const { helpText } = await import('./commands.ts')
  return say(await helpText(), 0)
}

function say(text: string, status: number): number {
  process.stdout.write(`${text}\n`)
  return status
}

function complain(line: string): number {
  process.stderr.write(`kube2iam: ${line}\n`)
  return 2
}
