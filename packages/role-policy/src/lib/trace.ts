import type { ExplainedRule } from './decision.ts'

/** Notes a rule that was looked at. The detail is a function: a decision on the request's path writes no prose. */
export type Trace = (rule: string, outcome: ExplainedRule['outcome'], detail: () => string) => void

export const noTrace: Trace = () => {}

export function recordTrace(): { readonly rules: readonly ExplainedRule[]; readonly trace: Trace } {
  const rules: ExplainedRule[] = []
  return { rules, trace: (rule, outcome, detail) => void rules.push({ rule, outcome, detail: detail() }) }
}
