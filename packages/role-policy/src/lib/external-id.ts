import { applyingRules } from './check-role.ts'
import type { ChosenRole } from './choose-role.ts'
import type { Context } from './context.ts'
import type { DecisionInput, Denial } from './decision.ts'
import type { CompiledRule } from './policy-rules.ts'
import { quote, refuse, sentenceOf } from './refuse.ts'
import { isExternalId } from './sts-limits.ts'
import type { Trace } from './trace.ts'

export interface ExternalId {
  readonly kind: 'external-id'
  readonly value: string | undefined
  readonly wouldDeny: readonly Denial[]
  readonly warnings: readonly string[]
}

const RULE = 'external ID'

/**
 * The pod's own external ID or the one that rules prescribe, and whether every rule is content with it. All prescriptions
 * are collected before anything is judged, so that the order of the rules means nothing.
 */
export function planExternalId(
  context: Context,
  input: DecisionInput,
  { role }: ChosenRole,
  trace: Trace,
): ExternalId | Denial {
  const { pod } = input
  const key = context.keys.externalId
  // An empty annotation is what a template writes when nobody filled it in; kube2iam takes it as none.
  const stated = (key === undefined ? undefined : pod.annotations[key]) || undefined
  if (stated !== undefined && !isExternalId(stated)) {
    const denial = refuse(
      'external-id-invalid',
      pod,
      `annotation ${key} is no external ID: ${quote(stated)} is not 2-1224 letters, digits or any of +=,.@:/-_`,
      role.text,
    )
    trace(RULE, 'failed', () => sentenceOf(denial, pod))
    return denial
  }
  const deny = ({ rule, why }: Problem): Denial =>
    refuse(
      'external-id-required',
      pod,
      `policy rule ${quote(rule.name)} of the configuration file ${why}`,
      role.text,
    )

  const rules = applyingRules(context, input)
  const enforced = rules.filter(({ mode }) => mode === 'enforce')
  const { value, problems } = judge(enforced, stated, key)
  const [problem] = problems
  if (problem !== undefined) {
    const denial = deny(problem)
    trace(RULE, 'failed', () => sentenceOf(denial, pod))
    return denial
  }
  // What rules in audit mode would do if they were enforced beside the others, which come first: they are right already.
  const audited = rules.filter(({ mode }) => mode === 'audit')
  const wished = judge([...enforced, ...audited], stated, key)
  const wouldDeny = wished.problems.map(deny)
  for (const denial of wouldDeny) trace(RULE, 'would-fail', () => sentenceOf(denial, pod))
  const warnings =
    wished.value === value || wished.prescribing === undefined
      ? []
      : [`policy rule ${quote(wished.prescribing.name)} would prescribe an external ID if it were enforced`]
  trace(RULE, value === undefined ? 'skipped' : 'chosen', () =>
    value === undefined ? 'none' : 'one is used',
  )
  return { kind: 'external-id', value, wouldDeny, warnings }
}

interface Problem {
  readonly rule: CompiledRule
  readonly why: string
}

interface Judged {
  readonly value: string | undefined
  /** The first rule that prescribes an external ID. */
  readonly prescribing: CompiledRule | undefined
  readonly problems: readonly Problem[]
}

function judge(
  rules: readonly CompiledRule[],
  stated: string | undefined,
  key = '(none is configured)',
): Judged {
  const prescribing = rules.find(({ rule }) => rule.externalId !== undefined)
  const value = stated ?? prescribing?.rule.externalId
  const isAnother = ({ rule: { externalId } }: CompiledRule): boolean =>
    externalId !== undefined && externalId !== prescribing?.rule.externalId
  // Where rules contradict each other, no annotation is right, and its author can do nothing about it.
  const areAtOdds = rules.some(isAnother)
  const whyNot = (compiled: CompiledRule): string | undefined => {
    const { externalId, requireExternalId } = compiled.rule
    if (areAtOdds && prescribing !== undefined) {
      return isAnother(compiled)
        ? `prescribes another external ID than policy rule ${quote(prescribing.name)}, so that no pod can please both; ask whoever runs the cluster`
        : undefined
    }
    if (externalId !== undefined && externalId !== value) {
      return `prescribes another external ID; remove annotation ${key}`
    }
    return requireExternalId === true && value === undefined
      ? `requires an external ID; add annotation ${key}`
      : undefined
  }
  const problems = rules.flatMap((rule) => {
    const why = whyNot(rule)
    return why === undefined ? [] : [{ rule, why }]
  })
  return { value, prescribing, problems }
}
