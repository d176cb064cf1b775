import { showable } from '@kube2iam-ts/core'
import { formatDuration } from '../scenario/shape.ts'
import type { Finding } from './check.ts'
import { NOT_JUDGED } from './check.ts'

/** What sets two checks apart, workload by workload. */
export interface Change {
  readonly workload: string
  readonly kind: 'added' | 'removed' | 'changed'
  readonly before: Finding | undefined
  readonly after: Finding | undefined
  /** Someone loses credentials that were had before, gets another role, or asks for one and will not get it. */
  readonly breaking: boolean
}

/** What is written with `--format json`, and read as a baseline. */
export interface CheckDocument {
  readonly version: 1
  readonly findings: readonly Finding[]
  /** False: no IAM documents were given, so STS may refuse what is `ok` here. */
  readonly trustJudged: boolean
  /** Objects that make pods and were not looked at. */
  readonly notLookedAt: readonly string[]
  /** Against the baseline, where one was given. */
  readonly changes?: readonly Change[]
}

export function compareFindings(before: readonly Finding[], after: readonly Finding[]): readonly Change[] {
  const old = new Map(before.map((finding) => [finding.workload, finding]))
  const now = new Map(after.map((finding) => [finding.workload, finding]))
  return [...new Set([...old.keys(), ...now.keys()])].toSorted().flatMap((workload): Change[] => {
    const was = old.get(workload)
    const is = now.get(workload)
    if (was === undefined) {
      return [{ workload, kind: 'added', before: undefined, after: is, breaking: fails(is) }]
    }
    if (is === undefined)
      return [{ workload, kind: 'removed', before: was, after: undefined, breaking: false }]
    if (got(was) === got(is)) return []
    const lost = was.outcome === 'ok' && (is.outcome !== 'ok' || is.role !== was.role)
    const breaking = lost || (fails(is) && !fails(was))
    return [{ workload, kind: 'changed', before: was, after: is, breaking }]
  })
}

const got = ({ outcome, role, externalId, code, durationSeconds }: Finding): string =>
  JSON.stringify([outcome, role, externalId, code, durationSeconds])

/** It asks for a role and gets none. */
export const fails = (finding: Finding | undefined): boolean =>
  finding?.outcome === 'denied' || finding?.outcome === 'refused'

/** Both sides of a change in words; how long sessions last is said where that is what changes. */
export function changeTexts({ before, after }: Change): { readonly before: string; readonly after: string } {
  const differs =
    before !== undefined && after !== undefined && before.durationSeconds !== after.durationSeconds
  const text = (finding: Finding | undefined): string =>
    differs && finding?.durationSeconds !== undefined
      ? `${findingText(finding)}, ${formatDuration(finding.durationSeconds * 1000)}`
      : findingText(finding)
  return { before: text(before), after: text(after) }
}

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
      return code === NOT_JUDGED ? `not judged (${roleText})` : `refused by STS: ${code} (${roleText})`
    default:
      return outcome satisfies never
  }
}

/** Without what every ARN begins with. */
export const shortRole = (arn: string): string => arn.replace(/^arn:aws[a-z-]*:iam::/, '')

/** Text that may stand in a cell of a Markdown table. */
export const cell = (text: string): string =>
  showable(text.replaceAll(/[\r\n]+/g, ' ')).replaceAll('|', '\\|')

/** The changes as Markdown, for a pull request. */
export function renderChangesMarkdown(changes: readonly Change[], total: number): string {
  if (changes.length === 0) return `No workload's role changes (${total} looked at).\n`
  const breaking = changes.filter((change) => change.breaking).length
  return [
    `**${changes.length} of ${total} workloads change**${breaking > 0 ? `, **${breaking} for the worse**` : ''}.`,
    '',
    '| | workload | before | after | why |',
    '|---|---|---|---|---|',
    ...changes.map(
      (change) =>
        `| ${change.breaking ? '⚠️' : SIGNS[change.kind]} | ${cell(change.workload)} | ${cell(changeTexts(change).before)} | ${cell(changeTexts(change).after)} | ${cell(change.after?.message ?? '')} |`,
    ),
    '',
  ].join('\n')
}

const SIGNS = { added: '+', removed: '−', changed: '~' } as const

/** The same as a diff: lines that begin with `-` and `+`. */
export function renderChangesDiff(changes: readonly Change[]): string {
  return changes
    .flatMap((change) => {
      const { workload, before, after } = change
      const texts = changeTexts(change)
      const why = after?.message === undefined ? '' : `  # ${after.message}`
      return [
        ...(before === undefined ? [] : [`- ${workload}: ${texts.before}`]),
        ...(after === undefined ? [] : [`+ ${workload}: ${texts.after}${why}`]),
      ].map(showable)
    })
    .join('\n')
}
