import type { CheckDocument } from '../check/baseline.ts'
import { compareFindings, fails } from '../check/baseline.ts'
import type { Finding } from '../check/check.ts'
import { checkWorkloads } from '../check/check.ts'
import type { CheckSources } from '../check/inputs.ts'
import { readCheckInputs } from '../check/inputs.ts'
import type { MigrationSource } from '../check/migration.ts'
import { planMigration } from '../check/migration.ts'
import type { CheckFormat } from '../check/render.ts'
import { renderCheck, renderMigration } from '../check/render.ts'
import { notLookedAt } from '../check/workloads.ts'
import { dig, digText } from '../cluster/objects.ts'
import { assertWritable, writeReport } from '../output/report-file.ts'
import { ProblemsError } from '../scenario/problem.ts'
import { readText } from '../scenario/read-files.ts'
import type { Terminal } from '../terminal.ts'

export interface CheckCommand extends CheckSources {
  readonly format: CheckFormat
  /** What an earlier check wrote with `--format json`. */
  readonly baseline: string | undefined
  readonly from: MigrationSource | undefined
  readonly output: string | undefined
}

/**
 * `kube2iam-sim check`: 0 every workload that asks for a role gets it or, with a baseline, none does worse than there
 * and no new one fails; 1 not so; 2 the input is wrong.
 */
export async function checkCommand(command: CheckCommand, terminal: Terminal): Promise<number> {
  const { format, output, from } = command
  assertWritable(output, '--output')
  const { objects, policy, judge, nodeRole, namespaceRestrictions, leftOut } = await readCheckInputs(command)
  sayLeftOut(leftOut, terminal)
  const findings = checkWorkloads({ objects, policy, judge })
  const unseen = notLookedAt(objects)
  if (findings.length === 0) {
    const file = [...command.manifests, ...(command.scenario === undefined ? [] : [command.scenario])].join(
      ' ',
    )
    const others = unseen.length === 0 ? '' : `; ${unseen.join(', ')} make pods and are not looked at`
    const message = `there is no workload: no Deployment, StatefulSet, DaemonSet, Job, CronJob or pod${others}`
    throw new ProblemsError([{ file, line: 1, column: 1, path: '', message }])
  }
  const changes =
    command.baseline === undefined ? undefined : compareFindings(readBaseline(command.baseline), findings)
  const document: CheckDocument = {
    version: 1,
    findings,
    trustJudged: judge !== undefined,
    notLookedAt: unseen,
    ...(changes === undefined ? {} : { changes }),
  }
  const colour = output === undefined && terminal.colour
  const text =
    from === undefined
      ? renderCheck(document, format, colour)
      : renderMigration(
          from,
          planMigration(from, objects, findings, { nodeRole: nodeRole?.text, namespaceRestrictions }),
          format,
          colour,
        )
  if (output === undefined) terminal.print(text)
  else writeReport(output, text)
  return (changes === undefined ? findings.some(fails) : changes.some(({ breaking }) => breaking)) ? 1 : 0
}

/** To standard error: what a folder holds beside manifests is no finding. */
export function sayLeftOut(leftOut: readonly string[], terminal: Terminal): void {
  if (leftOut.length === 0) return
  const many = leftOut.length === 1 ? '1 file holds' : `${leftOut.length} files hold`
  terminal.warn(`kube2iam-sim: ${many} no Kubernetes objects that could be read: ${leftOut.join(', ')}`)
}

const OUTCOMES: ReadonlySet<string> = new Set(['ok', 'none', 'denied', 'refused'])

function readBaseline(file: string): readonly Finding[] {
  const fail = (why = ''): never => {
    const message = `expected what \`kube2iam-sim check --format json\` wrote${why}`
    throw new ProblemsError([{ file, line: 1, column: 1, path: '', message }])
  }
  let document: unknown
  try {
    document = JSON.parse(readText(file, 256 * 1024 * 1024))
  } catch (error) {
    if (error instanceof ProblemsError) throw error
    return fail(': it is no JSON')
  }
  const findings = dig(document, 'findings')
  if (dig(document, 'version') !== 1 || !Array.isArray(findings)) return fail()
  const wrong = findings.findIndex(
    (finding) =>
      digText(finding, 'workload') === undefined || !OUTCOMES.has(digText(finding, 'outcome') ?? ''),
  )
  if (wrong !== -1) return fail(`: findings[${wrong}] is no finding`)
  return findings as readonly Finding[]
}
