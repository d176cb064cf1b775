import type { RunResult } from './run-result.ts'
import { instant, judged } from './run-result.ts'

/** One JSON document for all runs. */
export const renderJson = (results: readonly RunResult[]): string =>
  `${JSON.stringify({ version: 1, ok: results.every(({ ok }) => ok), runs: results }, null, 2)}\n`

interface Case {
  readonly name: string
  readonly file: string
  readonly line: number
  readonly column: number
  readonly failure: string | undefined
}

/** What test reports count: every step that expects something, and one case for the invariants of each scenario. */
const casesOf = (result: RunResult): readonly Case[] => [
  ...judged(result).map((step) => ({
    name: step.name,
    file: result.file,
    line: step.line,
    column: step.column,
    failure: step.failures.length === 0 ? undefined : step.failures.join('; '),
  })),
  {
    name: 'invariants',
    file: result.file,
    line: 1,
    column: 1,
    failure:
      result.violations.length === 0
        ? undefined
        : result.violations
            .map(({ invariant, atMs, message }) => `${invariant} at ${instant(atMs)}: ${message}`)
            .join('; '),
  },
]

/** JUnit XML, as most CI systems read it. */
export function renderJunit(results: readonly RunResult[]): string {
  const suites = results.map((result) => {
    const cases = casesOf(result)
    const failed = cases.filter(({ failure }) => failure !== undefined).length
    return [
      `  <testsuite name="${xml(result.name)}" file="${xml(result.file)}" tests="${cases.length}" failures="${failed}" errors="0" skipped="0">`,
      ...cases.map(({ name, file, line, failure }) => {
        const open = `    <testcase name="${xml(name)}" classname="${xml(result.name)}" file="${xml(file)}" line="${line}"`
        return failure === undefined
          ? `${open}/>`
          : `${open}>\n      <failure message="${xml(failure)}"/>\n    </testcase>`
      }),
      '  </testsuite>',
    ].join('\n')
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="kube2iam-sim">\n${suites.join('\n')}\n</testsuites>\n`
}

/** TAP version 13. */
export function renderTap(results: readonly RunResult[]): string {
  const cases = results.flatMap((result) => casesOf(result).map((entry) => ({ result, entry })))
  const lines = cases.flatMap(({ result, entry }, index) => {
    const title = `${index + 1} - ${tapText(`${result.name}: ${entry.name}`)}`
    if (entry.failure === undefined) return [`ok ${title}`]
    return [
      `not ok ${title}`,
      '  ---',
      `  message: ${JSON.stringify(entry.failure)}`,
      `  at: ${JSON.stringify(`${entry.file}:${entry.line}:${entry.column}`)}`,
      '  ...',
    ]
  })
  return `TAP version 13\n1..${cases.length}\n${lines.join('\n')}\n`
}

/** Workflow commands of GitHub Actions: each failure becomes an annotation at its line. */
export function renderGithub(results: readonly RunResult[]): string {
  const errors = results.flatMap((result) =>
    casesOf(result).flatMap(({ name, file, line, column, failure }) =>
      failure === undefined
        ? []
        : [
            `::error file=${property(file)},line=${line},col=${column},title=${property(`${result.name}: ${name}`)}::${data(failure)}`,
          ],
    ),
  )
  const failed = results.filter(({ ok }) => !ok).length
  const summary =
    failed === 0
      ? `::notice title=kube2iam-sim::${results.length} scenarios as expected`
      : `::notice title=kube2iam-sim::${failed} of ${results.length} scenarios not as expected`
  return `${[...errors, summary].join('\n')}\n`
}

const xml = (text: string): string =>
  text
    .replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
    // XML 1.0 has no other control characters.
    .replaceAll(/[\p{Cc}]/gu, ' ')

const tapText = (text: string): string => text.replaceAll(/[\n#\\]/g, ' ')

/** Escapes of GitHub's own toolkit. */
const data = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
