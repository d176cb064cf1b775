import { writeFileSync } from 'node:fs'
import type { Change, CheckDocument } from '../check/baseline.ts'
import { compareFindings, findingText, renderChangesDiff, renderChangesMarkdown } from '../check/baseline.ts'
import type { Finding } from '../check/check.ts'
import { checkWorkloads } from '../check/check.ts'
import type { CheckSources } from '../check/inputs.ts'
import { readCheckInputs } from '../check/inputs.ts'
import type { MigrationSource } from '../check/migration.ts'
import { planMigration } from '../check/migration.ts'
import { bad, dim, good, renderTable } from '../output/table.ts'
import { readText } from '../scenario/load.ts'
import { ProblemsError } from '../scenario/problem.ts'
import type { Terminal } from '../terminal.ts'

export const CHECK_FORMATS = ['table', 'json', 'markdown', 'github'] as const

export interface CheckCommand extends CheckSources {
  readonly format: (typeof CHECK_FORMATS)[number]
  /** What an earlier check wrote with `--format json`. */
  readonly baseline: string | undefined
  readonly from: MigrationSource | undefined
  readonly output: string | undefined
}

/**
 * `kube2iam-sim check`: 0 every workload that asks for a role gets it and nothing is lost against the baseline; 1 not
 * so; 2 the input is wrong.
 */
export async function checkCommand(command: CheckCommand, terminal: Terminal): Promise<number> {
  const { objects, policy, judge, nodeRole } = await readCheckInputs(command)
  const findings = checkWorkloads({ objects, policy, judge })
  if (findings.length === 0) {
    throw new ProblemsError([
      {
        file: command.manifests.join(' '),
        line: 1,
        column: 1,
        path: '',
        message: 'there is no workload: no Deployment, StatefulSet, DaemonSet, Job, CronJob or pod',
      },
    ])
  }
  const changes =
    command.baseline === undefined ? undefined : compareFindings(readBaseline(command.baseline), findings)
  const say = (text: string): void => {
    if (command.output === undefined) terminal.print(text)
    else writeFileSync(command.output, `${text.trimEnd()}\n`)
  }
  if (command.from !== undefined) {
    say(migrationText(command, planMigration(command.from, objects, findings, nodeRole?.text), terminal))
  } else {
    say(checkText(command, findings, changes, terminal, judge !== undefined))
  }
  const lost = changes?.some(({ breaking }) => breaking) === true
  const denied = findings.some(({ outcome }) => outcome === 'denied' || outcome === 'refused')
  return (changes === undefined ? denied : lost) ? 1 : 0
}

function checkText(
  { format }: CheckCommand,
  findings: readonly Finding[],
  changes: readonly Change[] | undefined,
  terminal: Terminal,
  judged: boolean,
): string {
  switch (format) {
    case 'json':
      return JSON.stringify({ version: 1, findings } satisfies CheckDocument, null, 2)
    case 'markdown':
      return changes === undefined
        ? findingsMarkdown(findings)
        : renderChangesMarkdown(changes, findings.length)
    case 'github':
      return githubLines(findings, changes)
    case 'table':
      return [
        findingsTable(findings, terminal.colour),
        '',
        ...(judged ? [] : ['Trust policies were not looked at: give --iam and --node-role.']),
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
    const fine = finding.outcome === 'ok' || finding.outcome === 'none'
    const notes = [finding.message, ...finding.warnings].filter(
      (note) => note !== undefined && finding.outcome !== 'none',
    )
    return [
      finding.workload,
      finding.outcome === 'none' ? dim('no role') : findingText(finding),
      fine ? good('✓') : bad('✗'),
      notes.join('; '),
    ]
  })
  return renderTable({ head: ['workload', 'gets', '', 'why'], rows }, { colour })
}

function findingsMarkdown(findings: readonly Finding[]): string {
  return [
    '| workload | gets | |',
    '|---|---|---|',
    ...findings.map(
      (finding) =>
        `| ${finding.workload} | ${findingText(finding).replaceAll('|', '\\|')} | ${(finding.outcome === 'none' ? '' : (finding.message ?? '')).replaceAll('|', '\\|')} |`,
    ),
    '',
  ].join('\n')
}

function githubLines(findings: readonly Finding[], changes: readonly Change[] | undefined): string {
  const escape = (text: string): string =>
    text.replaceAll('%', '%25').replaceAll('\n', '%0A').replaceAll('\r', '%0D')
  const lines =
    changes === undefined
      ? findings
          .filter(({ outcome }) => outcome === 'denied' || outcome === 'refused')
          .map(
            (finding) =>
              `::error title=${escape(finding.workload).replaceAll(/[,:]/g, ' ')}::${escape(`${findingText(finding)}: ${finding.message ?? ''}`)}`,
          )
      : changes.map(
          ({ workload, before, after, breaking }) =>
            `::${breaking ? 'error' : 'notice'} title=${escape(workload).replaceAll(/[,:]/g, ' ')}::${escape(`${findingText(before)} → ${findingText(after)} ${after?.message ?? ''}`)}`,
        )
  return lines.length === 0
    ? `::notice title=kube2iam-sim::${findings.length} workloads, nothing to report`
    : lines.join('\n')
}

function migrationText(
  { format, from }: CheckCommand,
  steps: ReturnType<typeof planMigration>,
  terminal: Terminal,
): string {
  if (format === 'json') return JSON.stringify({ version: 1, from, steps }, null, 2)
  const todo = steps.filter((step) => step.todo !== undefined)
  if (format === 'markdown' || format === 'github') {
    return [
      `**${todo.length} of ${steps.length} workloads need something before the change.**`,
      '',
      '| workload | before | after | to do |',
      '|---|---|---|---|',
      ...steps.map(
        ({ workload, before, after, todo: what = '' }) =>
          `| ${[workload, before, after, what].map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`,
      ),
      '',
    ].join('\n')
  }
  return [
    renderTable(
      {
        head: ['workload', 'before', 'after', 'to do'],
        rows: steps.map(({ workload, before, after, todo: what }) => [
          workload,
          dim(before),
          after,
          what === undefined ? good('nothing') : bad(what),
        ]),
      },
      { colour: terminal.colour },
    ),
    '',
    `${todo.length} of ${steps.length} workloads need something before the change.`,
  ].join('\n')
}

function readBaseline(file: string): readonly Finding[] {
  const fail = (message: string): never => {
    throw new ProblemsError([{ file, line: 1, column: 1, path: '', message }])
  }
  try {
    const document = JSON.parse(readText(file, 256 * 1024 * 1024)) as Partial<CheckDocument>
    if (document.version !== 1 || !Array.isArray(document.findings)) {
      return fail('expected what `kube2iam-sim check --format json` wrote')
    }
    return document.findings
  } catch (error) {
    if (error instanceof ProblemsError) throw error
    return fail('expected what `kube2iam-sim check --format json` wrote: it is no JSON')
  }
}
