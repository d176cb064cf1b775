import { showable } from '@kube2iam-ts/core'
import { formatDuration } from '../scenario/shape.ts'
import type { RunResult, TimelineEntry } from './run-result.ts'
import { instant, judged } from './run-result.ts'
import type { TableOptions } from './table.ts'
import { bad, dim, good, paint, renderTable } from './table.ts'

/** A scenario's result as a table; failures below it, with their places. */
export function renderRun(result: RunResult, options: TableOptions): string {
  const { file, name, violations, notChecked, warnings, simulatedMs, requests, stsCalls } = result
  const rows = judged(result).map((step) => [
    dim(instant(step.atMs)),
    step.name,
    step.expected,
    step.got,
    step.failures.length === 0 ? good('✓') : bad('✗'),
  ])
  const failures = [
    ...result.steps.flatMap((step) =>
      step.failures.map((failure) => `${file}:${step.line}:${step.column}: ${step.name}: ${failure}`),
    ),
    ...violations.map(
      ({ invariant, atMs, message }) => `${file}: invariant ${invariant} at ${instant(atMs)}: ${message}`,
    ),
  ]
  return [
    paint({ text: showable(`${name}  (${file})`), style: 'bold' }, options.colour),
    ...(rows.length === 0
      ? ['No step expects anything.']
      : [renderTable({ head: ['at', 'step', 'expected', 'got', ''], rows }, options)]),
    ...failures.map((failure) => paint(bad(showable(failure)), options.colour)),
    ...notChecked.map((invariant) => paint(bad(`not checked: ${invariant}`), options.colour)),
    ...warnings.map((warning) => paint(bad(showable(`warning: ${warning}`)), options.colour)),
    paint(
      {
        text: `${result.ok ? (rows.length === 0 && warnings.length > 0 ? 'nothing failed' : 'as expected') : `${failures.length} not as expected`} · ${formatDuration(simulatedMs)} simulated · ${requests} requests · ${stsCalls} STS calls`,
        style: result.ok ? 'good' : 'bad',
      },
      options.colour,
    ),
    '',
  ].join('\n')
}

/** Everything that happened, in order. The same scenario and seed give the same text to the byte. */
export function renderTimeline({ name, seed, timeline }: RunResult): string {
  const width = Math.max(8, ...timeline.map(({ atMs }) => instant(atMs).length))
  return [
    showable(`# ${name} (seed ${seed})`),
    ...timeline.map(
      ({ atMs, lane, text }) => `${instant(atMs).padStart(width)}  ${LANES[lane]}  ${showable(text)}`,
    ),
    '',
  ].join('\n')
}

const LANES: Record<TimelineEntry['lane'], string> = {
  step: '──     ',
  pod: 'pod    ',
  agent: 'agent  ',
  sts: 'sts    ',
  fault: 'fault  ',
  cluster: 'cluster',
  violation: 'BROKEN ',
}
