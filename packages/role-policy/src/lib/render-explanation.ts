import type { Decision, ExplainedRule, Explanation } from './decision.ts'
import { quote } from './refuse.ts'

const MARKS: Record<ExplainedRule['outcome'], string> = {
  chosen: '=',
  passed: '+',
  failed: 'x',
  skipped: '-',
  'would-fail': '!',
  waiting: '?',
}

/** An explanation as a person reads it: the decision, then every rule in the order in which it was looked at. */
export function renderExplanation({ pod, requested, decision, rules }: Explanation): string {
  const width = Math.max(...rules.map(({ rule }) => rule.length))
  return [
    `pod ${pod}${requested === undefined ? '' : ` asking for ${quote(requested)}`}: ${headline(decision)}`,
    ...rules.map(({ rule, outcome, detail }) => `  ${MARKS[outcome]} ${rule.padEnd(width)}  ${detail}`),
    ...footnotes(decision),
    '',
  ].join('\n')
}

function headline(decision: Decision): string {
  switch (decision.kind) {
    case 'granted':
      return `granted ${decision.role.text} (from ${decision.source})`
    case 'denied':
      return `denied (${decision.code})`
    case 'wait':
      return `undecided, waiting for the ${decision.for}`
    default:
      return decision satisfies never
  }
}

function footnotes(decision: Decision): string[] {
  switch (decision.kind) {
    case 'granted':
      return [
        ...decision.wouldDeny.map(({ code, message }) => `  audit: enforce would deny (${code}): ${message}`),
        ...decision.warnings.map((warning) => `  warning: ${warning}`),
      ]
    case 'denied':
      return [`  ${decision.message}`]
    case 'wait':
      return []
    default:
      return decision satisfies never
  }
}
