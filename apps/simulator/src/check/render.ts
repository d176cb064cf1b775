import { showable } from '@kube2iam-ts/core'
import { githubData, githubProperty } from '../output/github.ts'
import { bad, dim, good, renderTable } from '../output/table.ts'
import type { Change, CheckDocument } from './baseline.ts'
import {
  cell,
  changeTexts,
  fails,
  findingText,
  renderChangesDiff,
  renderChangesMarkdown,
} from './baseline.ts'
import type { Finding } from './check.ts'
import type { MigrationStep } from './migration.ts'

export const CHECK_FORMATS = ['table', 'json', 'markdown', 'github'] as const
export type CheckFormat = (typeof CHECK_FORMATS)[number]

const NOT_TRUSTED = 'Trust policies were not looked at: give --iam and --node-role.'

/** What a reader has to know beside the findings, in sentences. */
function notices({ trustJudged, notLookedAt }: CheckDocument): readonly string[] {
  const many = notLookedAt.length
  return [
    ...(trustJudged ? [] : [NOT_TRUSTED]),
    ...(many === 0
      ? []
      : [
          `${many} ${many === 1 ? 'object that makes pods was' : 'objects that make pods were'} not looked at: ${notLookedAt.join(', ')}.`,
        ]),
  ]
}

/** The findings, or what changes against a baseline, with what was not looked at. */
export function renderCheck(document: CheckDocument, format: CheckFormat, colour: boolean): string {
  const { findings, changes } = document
  const said = notices(document)
  switch (format) {
    case 'json':
      return JSON.stringify(document, null, 2)
    case 'markdown':
      return [
        changes === undefined
          ? findingsMarkdown(findings)
          : renderChangesMarkdown(changes, findings.length).trimEnd(),
        ...said.map((notice) => `\n${cell(notice)}`),
        '',
      ].join('\n')
    case 'github':
      return [
        ...githubLines(findings, changes),
        ...said.map((notice) => `::notice title=kube2iam-sim::${githubData(notice)}`),
      ].join('\n')
    case 'table':
      return [
        findingsTable(findings, colour),
        '',
        ...said.map(showable),
        ...(changes === undefined
          ? []
          : changes.length === 0
            ? ['Nothing changes against the baseline.']
            : ['Against the baseline:', renderChangesDiff(changes)]),
      ].join('\n')
    default:
      return format satisfies never
  }
}

function findingsTable(findings: readonly Finding[], colour: boolean): string {
  const rows = findings.map((finding) => {
    const notes = [finding.message, ...finding.warnings].filter(
      (note) => note !== undefined && finding.outcome !== 'none',
    )
    return [
      finding.workload,
      finding.outcome === 'none' ? dim('no role') : findingText(finding),
      fails(finding) ? bad('✗') : good('✓'),
      notes.join('; '),
    ]
  })
  return renderTable({ head: ['workload', 'gets', '', 'why'], rows }, { colour })
}

const findingsMarkdown = (findings: readonly Finding[]): string =>
  [
    '| workload | gets | |',
    '|---|---|---|',
    ...findings.map(
      (finding) =>
        `| ${cell(finding.workload)} | ${cell(findingText(finding))} | ${cell(finding.outcome === 'none' ? '' : (finding.message ?? ''))} |`,
    ),
  ].join('\n')

function githubLines(
  findings: readonly Finding[],
  changes: readonly Change[] | undefined,
): readonly string[] {
  const line = (kind: 'error' | 'notice', workload: string, text: string): string =>
    `::${kind} title=${githubProperty(workload)}::${githubData(text)}`
  const lines =
    changes === undefined
      ? findings
          .filter(fails)
          .map((finding) =>
            line('error', finding.workload, `${findingText(finding)}: ${finding.message ?? ''}`),
          )
      : changes.map((change) => {
          const { before, after } = changeTexts(change)
          const kind = change.breaking ? 'error' : 'notice'
          return line(kind, change.workload, `${before} → ${after} ${change.after?.message ?? ''}`)
        })
  return lines.length === 0
    ? [`::notice title=kube2iam-sim::${findings.length} workloads, nothing to report`]
    : lines
}

/** A plan of a migration; GitHub has no annotations for it and gets the table. */
export function renderMigration(
  from: string,
  steps: readonly MigrationStep[],
  format: CheckFormat,
  colour: boolean,
): string {
  if (format === 'json') return JSON.stringify({ version: 1, from, steps }, null, 2)
  const todo = steps.filter((step) => step.todo !== undefined)
  const summary = `${todo.length} of ${steps.length} workloads need something before the change.`
  if (format === 'markdown' || format === 'github') {
    return [
      `**${summary}**`,
      '',
      '| workload | before | after | to do |',
      '|---|---|---|---|',
      ...steps.map(
        ({ workload, before, after, todo: what = '' }) =>
          `| ${[workload, before, after, what].map(cell).join(' | ')} |`,
      ),
      '',
    ].join('\n')
  }
  const rows = steps.map(({ workload, before, after, todo: what }) => [
    workload,
    dim(before),
    after,
    what === undefined ? good('nothing') : bad(what),
  ])
  const head = ['workload', 'before', 'after', 'to do']
  return [renderTable({ head, rows }, { colour }), '', summary].join('\n')
}
