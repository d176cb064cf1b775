import type { RoleArn } from '@kube2iam-ts/core'
import type { ChosenRole } from './choose-role.ts'
import type { Context, Stop } from './context.ts'
import type { DecisionInput, Denial } from './decision.ts'
import type { NamespaceRules } from './namespace-rules.ts'
import type { PatternSet } from './pattern-set.ts'
import type { CompiledRule } from './policy-rules.ts'
import { quote, refuse, sentenceOf, waitFor } from './refuse.ts'
import type { RolePattern } from './role-pattern.ts'
import type { Trace } from './trace.ts'

/** The role may be had, and what audit mode would have said. */
export interface Allowed {
  readonly kind: 'allowed'
  readonly wouldDeny: readonly Denial[]
}

/** Whether the namespace's annotations allow the role. Both kube2iam's and kiam's have to, where both are there. */
export function checkNamespace(
  context: Context,
  input: DecisionInput,
  chosen: ChosenRole,
  trace: Trace,
): Allowed | Stop {
  const rule = 'namespace restrictions'
  const { keys, mode, reader } = context
  const { pod, namespace } = input
  if (mode === 'off') {
    trace(rule, 'skipped', () => 'they are off (--namespace-restrictions)')
    return allowed
  }
  if (chosen.isDefault) {
    trace(rule, 'skipped', () => 'the default role of the cluster is exempt')
    return allowed
  }
  if (namespace === undefined) {
    trace(rule, 'waiting', () => `namespace ${pod.namespace} is not known yet`)
    return waitFor('namespace')
  }
  const refused = (
    code: 'namespace-denied' | 'namespace-annotation-invalid',
    sentence: string,
  ): Allowed | Stop => {
    const denial = refuse(code, pod, sentence, chosen.role.text)
    trace(rule, mode === 'audit' ? 'would-fail' : 'failed', () => sentenceOf(denial, pod))
    return mode === 'audit' ? { kind: 'allowed', wouldDeny: [denial] } : denial
  }

  const allowedRoles = namespace.annotations[keys.allowedRoles]
  const permitted = keys.permitted === undefined ? undefined : namespace.annotations[keys.permitted]
  if (allowedRoles === undefined && permitted === undefined) {
    return refused(
      'namespace-denied',
      `namespace ${pod.namespace} has no annotation ${keys.allowedRoles}, so it allows no role; add one that lists ${chosen.role.text}`,
    )
  }
  const annotations: [key: string, text: string | undefined, read: (text: string) => NamespaceRules][] = [
    [keys.allowedRoles, allowedRoles, reader.allowedRoles],
    [keys.permitted ?? '', permitted, reader.permitted],
  ]
  for (const [key, text, read] of annotations) {
    if (text === undefined) continue
    const rules = read(text)
    if (rules.kind === 'engine-needed') {
      trace(rule, 'waiting', () => 'the engine for regular expressions is being loaded')
      return waitFor('pattern-engine')
    }
    if (rules.kind === 'invalid') {
      return refused(
        'namespace-annotation-invalid',
        `annotation ${key} of namespace ${pod.namespace} cannot be used, so it allows no role until it is corrected: ${rules.why}`,
      )
    }
    const match = findPattern(rules.patterns, chosen.role, context)
    if (match === 'base-arn') {
      trace(rule, 'waiting', () => 'the annotation has short patterns, and the base ARN is being discovered')
      return waitFor('base-arn')
    }
    if (match === undefined) {
      return refused(
        'namespace-denied',
        `annotation ${key} of namespace ${pod.namespace} does not allow ${chosen.role.text}${shortHint(rules.patterns, chosen.role, context)}; add a pattern for it, the value is ${quote(text)}`,
      )
    }
    trace(rule, 'passed', () => `annotation ${key} allows it by ${quote(match.text)}`)
  }
  return allowed
}

/** Whether every rule of the configuration file that looks at this pod allows the role. */
export function checkRules(
  context: Context,
  input: DecisionInput,
  chosen: ChosenRole,
  trace: Trace,
): Allowed | Stop {
  const wouldDeny: Denial[] = []
  for (const compiled of applyingRules(context, input)) {
    if (compiled.allowedRoles === undefined) continue
    const match = findPattern(compiled.allowedRoles, chosen.role, context)
    if (match === 'base-arn') {
      trace(compiled.name, 'waiting', () => 'it has short patterns, and the base ARN is being discovered')
      return waitFor('base-arn')
    }
    if (match !== undefined) {
      trace(compiled.name, 'passed', () => `it allows the role by ${quote(match.text)}`)
      continue
    }
    const denial = refuse(
      'rule-denied',
      input.pod,
      `policy rule ${quote(compiled.name)} of the configuration file does not allow ${chosen.role.text}${shortHint(compiled.allowedRoles, chosen.role, context)}; ask whoever runs the cluster`,
      chosen.role.text,
    )
    trace(compiled.name, compiled.mode === 'audit' ? 'would-fail' : 'failed', () =>
      sentenceOf(denial, input.pod),
    )
    if (compiled.mode === 'enforce') return denial
    wouldDeny.push(denial)
  }
  return { kind: 'allowed', wouldDeny }
}

/** The rules of the configuration file that look at the pod. */
export function applyingRules({ rules }: Context, { pod }: DecisionInput): readonly CompiledRule[] {
  return rules.filter(
    ({ namespaces, serviceAccounts }) =>
      namespaces.some((matches) => matches(pod.namespace)) &&
      serviceAccounts.some((matches) => matches(pod.serviceAccount)),
  )
}

function findPattern(
  patterns: PatternSet,
  role: RoleArn,
  { settings }: Context,
): RolePattern | 'base-arn' | undefined {
  const match = patterns.find(role)
  if (match !== undefined) return match
  const pending = settings.base === undefined && settings.basePending === true
  return pending && patterns.hasShort ? 'base-arn' : undefined
}

/** The most frequent surprise, said: a short pattern means roles under the base ARN. */
function shortHint(patterns: PatternSet, role: RoleArn, { settings: { base } }: Context): string {
  if (!patterns.hasShort) return ''
  if (base === undefined) return '; its patterns without arn: match nothing, because no base ARN is known'
  if (role.text.startsWith(base.text)) return ''
  return `; its patterns without arn: mean roles under ${base.text} only`
}

const allowed: Allowed = { kind: 'allowed', wouldDeny: [] }
