import { isCoded } from '@kube2iam-ts/core'
import { createPolicy, type PolicyRule } from '@kube2iam-ts/role-policy'
import { policySettings } from '../policy-settings.ts'
import { splitArguments } from './arguments.ts'
import { CONTRADICTIONS } from './contradictions.ts'
import { readEnvironment } from './environment.ts'
import { readFile, type SettingsFile } from './file.ts'
import { environmentName, type Flag } from './flag.ts'
import { type FlagValues, flagRows, type SettingName } from './flags.ts'
import type { SettingsProblem } from './problem.ts'

/** Everything that the agent was told, parsed and without contradictions. Durations are milliseconds. */
export interface AgentSettings extends FlagValues {
  /** Which settings somebody gave, and where; the others have their defaults. */
  readonly given: Readonly<Partial<Record<SettingName, 'flag' | 'environment' | 'file'>>>
  /** `rules` of the file. */
  readonly rules: readonly PolicyRule[]
}

export interface SettingsSources {
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** What `--config` named. Absent: there is none. */
  readonly file?: SettingsFile
}

export type ParsedSettings =
  | { readonly kind: 'settings'; readonly settings: AgentSettings }
  | { readonly kind: 'help' }
  | { readonly kind: 'invalid'; readonly problems: readonly SettingsProblem[] }

/** A value as somebody wrote it. */
interface Given {
  readonly texts: readonly string[]
  readonly from: 'flag' | 'environment' | 'file'
  readonly where?: string
}

const flags: readonly Flag<unknown>[] = flagRows.map(([, flag]) => flag)

/** The file that the settings are to be read from too, if one is named: it has to be read before they can be. */
export function configPathOf({ args, environment = {} }: SettingsSources): string | undefined {
  const path = splitArguments(args, flags).values.get('config')?.at(-1) ?? environment['KUBE2IAM_CONFIG']
  return path === '' ? undefined : path
}

/** Reads the settings: the command line wins over the environment, and that over the file. Pure. */
export function parseSettings({ args, environment = {}, file }: SettingsSources): ParsedSettings {
  const line = splitArguments(args, flags)
  if (line.help) return { kind: 'help' }
  const variables = readEnvironment(environment, flags)
  const document = file === undefined ? undefined : readFile(file, flags)
  const problems = [...line.problems, ...variables.problems, ...(document?.problems ?? [])]

  const find = (name: string): Given | undefined => {
    const fromLine = line.values.get(name)
    if (fromLine !== undefined) return { texts: fromLine, from: 'flag' }
    const fromEnvironment = variables.values.get(name)
    if (fromEnvironment !== undefined) {
      return { texts: [fromEnvironment], from: 'environment', where: environmentName(name) }
    }
    const fromFile = document?.values.get(name)
    return fromFile === undefined
      ? undefined
      : { texts: [fromFile], from: 'file', where: `${name} in ${file?.path ?? ''}` }
  }

  const values: Partial<Record<SettingName, unknown>> = {}
  const given: Partial<Record<SettingName, Given>> = {}
  for (const [setting, flag] of flagRows) {
    const found = find(flag.name)
    if (found !== undefined) given[setting] = found
    const texts = found?.texts ?? [flag.default]
    const text = flag.kind.many === true ? texts.join(',') : (texts.at(-1) ?? '')
    const parsed = flag.kind.parse(text)
    if (parsed.ok) values[setting] = parsed.value
    else problems.push(unreadable(flag, text, parsed, found))
  }
  if (problems.length > 0) return { kind: 'invalid', problems }

  const settings = Object.freeze({
    ...(values as FlagValues),
    given: Object.freeze(
      Object.fromEntries(Object.entries(given).map(([name, { from }]) => [name, from])),
    ) as AgentSettings['given'],
    rules: document?.rules ?? [],
  })
  const contradictions = CONTRADICTIONS.filter(({ when }) => when(settings)).map(
    ({ setting, wrong, right }): SettingsProblem => {
      const flag = flagRows.find(([name]) => name === setting)?.[1].name ?? setting
      return { flag: `--${flag}`, wrong, right, ...whereOf(given[setting]) }
    },
  )
  const impossible = [...contradictions, ...policyProblems(settings, file)]
  return impossible.length > 0 ? { kind: 'invalid', problems: impossible } : { kind: 'settings', settings }
}

/** What the policy cannot be made of: it says so before anything is started. */
function policyProblems(settings: AgentSettings, file: SettingsFile | undefined): SettingsProblem[] {
  try {
    createPolicy(
      policySettings(settings, settings.rules, { base: undefined, role: undefined, pending: true }),
    )
    return []
  } catch (error) {
    if (!isCoded(error)) throw error
    return [
      {
        flag: '--config',
        wrong: 'cannot be followed',
        right: error.message,
        ...(file && { where: file.path }),
      },
    ]
  }
}

function unreadable(
  flag: Flag<unknown>,
  text: string,
  { wrong, right }: { wrong: string; right: string },
  found: Given | undefined,
): SettingsProblem {
  const shown =
    flag.secret === true ? 'its value' : `"${text.length > 100 ? `${text.slice(0, 100)}…` : text}"`
  // A list names the item that is wrong itself.
  const what = flag.kind.many === true ? wrong : `${shown} ${wrong}`
  return { flag: `--${flag.name}`, wrong: what, right, ...whereOf(found) }
}

const whereOf = (given: Given | undefined): { where?: string } =>
  given?.where === undefined ? {} : { where: given.where }
