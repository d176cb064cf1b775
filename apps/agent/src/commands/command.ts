import { type AgentSettings, explainProblems, parseSettings } from '@kube2iam-ts/agent-runtime'
import { readConfig } from '../config-file.ts'

/** Somebody asked for something that makes no sense: exit status 2 with the message as the one line. */
export class UsageError extends Error {}

/** What every command is given: the flags of the agent among its arguments, and the environment. */
export interface CommandInput {
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The agent's settings as its own command line would give them. Throws `UsageError`. */
export async function settingsOf({ args, environment }: CommandInput): Promise<AgentSettings> {
  const file = await readConfig({ args, environment })
  if (file !== undefined && 'wrong' in file) throw new UsageError(explainProblems([file]))
  const parsed = parseSettings({ args, environment, ...(file === undefined ? {} : { file }) })
  if (parsed.kind === 'settings') return parsed.settings
  throw new UsageError(
    parsed.kind === 'invalid' ? explainProblems(parsed.problems) : 'kube2iam --help prints the help',
  )
}

/** Prints, and is done. */
export async function say(text: string): Promise<number> {
  process.stdout.write(text)
  return 0
}

export const sayJson = (value: unknown): Promise<number> => say(`${JSON.stringify(value, null, 2)}\n`)
