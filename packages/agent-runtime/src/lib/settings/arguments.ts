import type { Flag } from './flag.ts'
import type { SettingsProblem } from './problem.ts'

export interface GivenArguments {
  /** By flag name, in order; a repeated flag has several. */
  readonly values: ReadonlyMap<string, readonly string[]>
  readonly help: boolean
  readonly problems: readonly SettingsProblem[]
}

/**
 * Splits a command line as pflag does: `--flag=value`, `--flag value`, and the bare flag for booleans, which never
 * take the next argument. Unlike pflag, an argument that belongs to no flag is a problem instead of ignored, because
 * `--debug false` means the opposite of what it looks like.
 */
export function splitArguments(args: readonly string[], flags: readonly Flag<unknown>[]): GivenArguments {
  const byName = new Map(flags.map((flag) => [flag.name, flag]))
  const values = new Map<string, string[]>()
  const problems: SettingsProblem[] = []
  let help = false
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '--help' || arg === '-h') {
      help = true
      continue
    }
    const match = /^--([^=]+)(?:=([\s\S]*))?$/.exec(arg)
    if (match === null) {
      problems.push(stray(arg, args[at - 1], byName))
      continue
    }
    const [, name = '', inline] = match
    const flag = byName.get(name)
    if (flag === undefined) {
      problems.push({ flag: `--${name}`, wrong: 'is no flag', right: suggestion(name, [...byName.keys()]) })
      // Whether it took a value is unknown; what follows and is no flag was most likely its value.
      if (inline === undefined && args[at + 1]?.startsWith('-') === false) at += 1
      continue
    }
    let text = inline
    if (text === undefined && flag.kind.bare === true) text = 'true'
    if (text === undefined) {
      at += 1
      text = args[at]
    }
    if (text === undefined) {
      problems.push({ flag: `--${name}`, wrong: 'has no value', right: `write --${name}=${flag.kind.label}` })
      continue
    }
    const before = values.get(name)
    if (before === undefined) values.set(name, [text])
    else before.push(text)
  }
  return { values, help, problems }
}

function stray(
  arg: string,
  previous: string | undefined,
  byName: ReadonlyMap<string, Flag<unknown>>,
): SettingsProblem {
  const before = previous?.startsWith('--') === true ? previous.slice(2) : ''
  if (byName.get(before)?.kind.bare === true) {
    return { flag: `--${before}`, wrong: `does not take "${arg}"`, right: `write --${before}=${arg}` }
  }
  const name = arg.replace(/^-+/, '').replace(/=.*$/s, '')
  if (arg.startsWith('-') && byName.has(name)) {
    return { flag: `-${name}`, wrong: 'is no flag', right: `write it with two dashes, --${name}` }
  }
  return { flag: `"${arg}"`, wrong: 'is neither a command nor a flag', right: 'kube2iam --help lists both' }
}

/** What a person who wrote `name` most likely meant. */
export function suggestion(name: string, known: readonly string[]): string {
  const close = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 4))
    .sort((a, b) => a.distance - b.distance)[0]
  return close === undefined
    ? 'kube2iam --help lists them all'
    : `did you mean --${close.candidate}? kube2iam --help lists them all`
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same))
    }
    row = next
  }
  return row[b.length] ?? 0
}
