import type { Finding } from './check.ts'

/** What sets two checks apart, workload by workload. */
export interface Change {
  readonly workload: string
  readonly kind: 'added' | 'removed' | 'changed'
  readonly before: Finding | undefined
  readonly after: Finding | undefined
  /** Someone loses credentials that were had before, or gets another role. */
  readonly breaking: boolean
}

/** What is written with `--json`, and read as a baseline. */
export interface CheckDocument {
  readonly version: 1
  readonly findings: readonly Finding[]
}

export function compareFindings(before: readonly Finding[], after: readonly Finding[]): readonly Change[] {
  const old = new Map(before.map((finding) => [finding.workload, finding]))
  const now = new Map(after.map((finding) => [finding.workload, finding]))
  return [...new Set([...old.keys(), ...now.keys()])].toSorted().flatMap((workload): Change[] => {
    const was = old.get(workload)
    const is = now.get(workload)
    if (was === undefined) return [{ workload, kind: 'added', before: undefined, after: is, breaking: false }]
    if (is === undefined)
      return [{ workload, kind: 'removed', before: was, after: undefined, breaking: false }]
    if (got(was) === got(is)) return []
    const breaking = was.outcome === 'ok' && (is.outcome !== 'ok' || is.role !== was.role)
    return [{ workload, kind: 'changed', before: was, after: is, breaking }]
  })
}

const got = ({ outcome, role, externalId, code }: Finding): string =>
  JSON.stringify([outcome, role, externalId, code])

/** `arn:… (pod)`, `none`, `denied: namespace-denied`. */
export function findingText(finding: Finding | undefined): string {
  if (finding === undefined) return '-'
  const { outcome, role, source, code, externalId } = finding
  const roleText = role === undefined ? '' : shortRole(role)
  const withId = externalId === undefined ? roleText : `${roleText} (external ID ${externalId})`
  switch (outcome) {
    case 'ok':
      return source === 'pod' ? withId : `${withId} (${source})`
    case 'none':
      return 'no role'
    case 'denied':
      return `denied: ${code}${role === undefined ? '' : ` (${roleText})`}`
    case 'refused':
      return `refused by STS: ${code} (${roleText})`
    default:
      return outcome satisfies never
  }
}

/** Without what every ARN begins with. */
export const shortRole = (arn: string): string => arn.replace(/^arn:aws[a-z-]*:iam::/, '')

/** The changes as Markdown, for a pull request. */
export function renderChangesMarkdown(changes: readonly Change[], total: number): string {
  if (changes.length === 0) return `No workload's role changes (${total} looked at).\n`
  const breaking = changes.filter((change) => change.breaking).length
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/[\r\n]+/g, ' ')
  return [
    `**${changes.length} of ${total} workloads change**${breaking > 0 ? `, **${breaking} lose what they had**` : ''}.`,
    '',
    '| | workload | before | after | why |',
    '|---|---|---|---|---|',
    ...changes.map(
      ({ kind, workload, before, after, breaking: breaks }) =>
        `| ${breaks ? '⚠️' : kind === 'added' ? '+' : kind === 'removed' ? '−' : '~'} | ${cell(workload)} | ${cell(findingText(before))} | ${cell(findingText(after))} | ${cell(after?.message ?? '')} |`,
    ),
    '',
  ].join('\n')
}

/** The same as a diff: lines that begin with `-` and `+`. */
export function renderChangesDiff(changes: readonly Change[]): string {
  return changes
    .flatMap(({ workload, before, after }) => [
      ...(before === undefined ? [] : [`- ${workload}: ${findingText(before)}`]),
      ...(after === undefined
        ? []
        : [
            `+ ${workload}: ${findingText(after)}${after.message === undefined ? '' : `  # ${after.message}`}`,
          ]),
    ])
    .join('\n')
}
