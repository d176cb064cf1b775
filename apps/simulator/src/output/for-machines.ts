import { quoted, showable } from '@kube2iam-ts/core'
import { githubData, githubProperty } from './github.ts'
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
  readonly skipped: boolean
}

/**
 * What test reports count: every step that expects something, one case for the invariants of each scenario, and one for
 * each that was switched off.
 */
const casesOf = (result: RunResult): readonly Case[] => [
  ...judged(result).map((step) => ({
    name: step.name,
    file: result.file,
    line: step.line,
    column: step.column,
    failure: step.failures.length === 0 ? undefined : step.failures.join('; '),
    skipped: false,
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
    skipped: false,
  },
  ...result.notChecked.map((invariant) => ({
    name: `invariant ${invariant}`,
    file: result.file,
    line: 1,
    column: 1,
    failure: undefined,
    skipped: true,
  })),
]

/** JUnit XML, as most CI systems read it. */
export function renderJunit(results: readonly RunResult[]): string {
  const suites = results.map((result) => {
    const cases = casesOf(result)
    const failed = cases.filter(({ failure }) => failure !== undefined).length
    const skips = cases.filter(({ skipped }) => skipped).length
    return [
      `  <testsuite name="${xml(result.name)}" file="${xml(result.file)}" tests="${cases.length}" failures="${failed}" errors="0" skipped="${skips}">`,
      ...cases.map(({ name, file, line, failure, skipped }) => {
        const open = `    <testcase name="${xml(name)}" classname="${xml(result.name)}" file="${xml(file)}" line="${line}"`
        if (skipped) return `${open}>\n      <skipped message="not checked"/>\n    </testcase>`
        return failure === undefined
          ? `${open}/>`
          : `${open}>\n      <failure message="${xml(failure)}"/>\n    </testcase>`
      }),
      ...(result.warnings.length === 0
        ? []
        : [`    <system-err>${xml(result.warnings.join('; '))}</system-err>`]),
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
    if (entry.skipped) return [`ok ${title} # SKIP not checked`]
    if (entry.failure === undefined) return [`ok ${title}`]
    return [
      `not ok ${title}`,
      '  ---',
      `  message: ${quoted(entry.failure)}`,
      `  at: ${quoted(`${entry.file}:${entry.line}:${entry.column}`)}`,
      '  ...',
    ]
  })
  const warnings = results.flatMap(({ name, warnings: its }) =>
    its.map((warning) => `# ${tapText(`${name}: warning: ${warning}`)}`),
  )
  return `TAP version 13\n1..${cases.length}\n${[...lines, ...warnings].join('\n')}\n`
}

/** Workflow commands of GitHub Actions: each failure becomes an annotation at its line. */
export function renderGithub(results: readonly RunResult[]): string {
  const annotation = (
    kind: 'error' | 'warning',
    at: Omit<Case, 'failure' | 'skipped'>,
    text: string,
  ): string =>
    `::${kind} file=${githubProperty(at.file)},line=${at.line},col=${at.column},title=${githubProperty(at.name)}::${githubData(text)}`
  const lines = results.flatMap((result) => {
    const { name, file, warnings, notChecked } = result
    const top = { name, file, line: 1, column: 1 }
    return [
      ...casesOf(result).flatMap((one) =>
        one.failure === undefined
          ? []
          : [annotation('error', { ...one, name: `${name}: ${one.name}` }, one.failure)],
      ),
      ...notChecked.map((invariant) => annotation('warning', top, `not checked: ${invariant}`)),
      ...warnings.map((warning) => annotation('warning', top, warning)),
    ]
  })
  const failed = results.filter(({ ok }) => !ok).length
  const summary =
    failed === 0
      ? `::notice title=kube2iam-sim::${results.length} scenarios as expected`
      : `::notice title=kube2iam-sim::${failed} of ${results.length} scenarios not as expected`
  return `${[...lines, summary].join('\n')}\n`
}

/** XML 1.0 has no control characters but white space. */
const xml = (text: string): string =>
  showable(text.replaceAll(/\s+/g, ' ')).replaceAll(
    /[&<>"']/g,
    (character) => `&#${character.codePointAt(0)};`,
  )

const tapText = (text: string): string => showable(text.replaceAll(/[\r\n#\\]/g, ' '))
