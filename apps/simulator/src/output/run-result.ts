/** What came of one step. */
export interface StepResult {
  /** From 0. */
  readonly index: number
  /** Where the step stands in its file. */
  readonly line: number
  readonly column: number
  readonly name: string
  /** Simulated milliseconds since the scenario's start. */
  readonly atMs: number
  /** What was expected, in words; empty for steps that expect nothing. */
  readonly expected: string
  /** What came. */
  readonly got: string
  /** Empty: as expected. */
  readonly failures: readonly string[]
}

/** Something that must hold throughout, and did not. */
export interface Violation {
  readonly invariant: string
  readonly atMs: number
  readonly message: string
}

export interface TimelineEntry {
  readonly atMs: number
  readonly lane: 'step' | 'pod' | 'agent' | 'sts' | 'fault' | 'cluster' | 'violation'
  readonly text: string
}

export interface RunResult {
  readonly file: string
  readonly name: string
  readonly shows: string | undefined
  readonly seed: number
  readonly ok: boolean
  readonly steps: readonly StepResult[]
  readonly violations: readonly Violation[]
  /** Invariants that hold for every scenario and were switched off in this one. */
  readonly notChecked: readonly string[]
  /** What a reader has to know to trust the result. */
  readonly warnings: readonly string[]
  readonly timeline: readonly TimelineEntry[]
  readonly simulatedMs: number
  readonly stsCalls: number
  readonly requests: number
}

/** `1d 02:03:04.567` since the start. */
export function instant(atMs: number): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const days = Math.floor(atMs / 86_400_000)
  const seconds = Math.floor(atMs / 1000)
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return `${days > 0 ? `${days}d ` : ''}${clock}.${String(Math.floor(atMs % 1000)).padStart(3, '0')}`
}

/** Steps whose answer is judged: what reports count. */
export const judged = ({ steps }: RunResult): readonly StepResult[] =>
  steps.filter(({ expected, failures }) => expected !== '' || failures.length > 0)
