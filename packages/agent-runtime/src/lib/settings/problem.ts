/** What is wrong with the settings: which flag, what, and what would be right. */
export interface SettingsProblem {
  /** `--app-port`; where it was not written as a flag, `explainProblems` says so. */
  readonly flag: string
  /** Completes "--app-port …": `"70000" is not a port`. */
  readonly wrong: string
  /** An instruction: `give a number from 1 to 65535`. */
  readonly right: string
  /** `KUBE2IAM_APP_PORT`, or the key and name of the file. */
  readonly where?: string
}

/** All problems as the one line that is printed: the first of them, and how many more there are. */
export function explainProblems(problems: readonly SettingsProblem[]): string {
  const [first, ...more] = problems
  if (first === undefined) return ''
  const where = first.where === undefined ? '' : ` (from ${first.where})`
  const rest = more.length === 0 ? '' : ` [and ${more.length} more]`
  return `${first.flag} ${first.wrong}: ${first.right}${where}${rest}`.replaceAll(/\s+/g, ' ')
}
