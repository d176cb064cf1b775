import type { PolicyRule } from '@kube2iam-ts/role-policy'
import { suggestion } from './arguments.ts'
import type { Flag } from './flag.ts'
import type { SettingsProblem } from './problem.ts'
import { readRules } from './rules.ts'

/** The file that `--config` names, read and parsed: what YAML made of it. */
export interface SettingsFile {
  readonly path: string
  readonly document: unknown
}

/** Flags that make no sense in a file. */
const ONLY_ON_THE_LINE = new Set(['config', 'version'])

/** The settings in the file by flag name, as text, and its policy rules as they stand. */
export function readFile(
  { path, document }: SettingsFile,
  flags: readonly Flag<unknown>[],
): {
  values: ReadonlyMap<string, string>
  rules: readonly PolicyRule[]
  problems: readonly SettingsProblem[]
} {
  const values = new Map<string, string>()
  const problems: SettingsProblem[] = []
  let rules: readonly PolicyRule[] = []
  const names = flags.map((flag) => flag.name).filter((name) => !ONLY_ON_THE_LINE.has(name))
  if (document === undefined || document === null) return { values, rules, problems }
  if (typeof document !== 'object' || Array.isArray(document)) {
    problems.push({
      flag: '--config',
      wrong: `"${path}" does not hold settings`,
      right: 'write one "name: value" per line, such as "app-port: 8181"',
    })
    return { values, rules, problems }
  }
  for (const [key, value] of Object.entries(document)) {
    if (key === 'rules') {
      const read = readRules(value, path)
      rules = read.rules
      problems.push(...read.problems)
      continue
    }
    if (!names.includes(key)) {
      const right = ONLY_ON_THE_LINE.has(key) ? 'give it on the command line' : suggestion(key, names)
      problems.push({ flag: '--config', wrong: `"${key}" is no setting`, right, where: path })
      continue
    }
    const text = textOf(value)
    if (text === undefined) {
      problems.push({
        flag: `--${key}`,
        wrong: 'has a value that is neither text, number, boolean nor a list of those',
        right: `write "${key}: value"`,
        where: path,
      })
    } else if (value !== null) values.set(key, text)
  }
  return { values, rules, problems }
}

function textOf(value: unknown): string | undefined {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (!Array.isArray(value)) return undefined
  const items = value.map((item: unknown) => (Array.isArray(item) ? undefined : textOf(item)))
  return items.every((item) => item !== undefined) ? items.join(',') : undefined
}
