import type { Grant } from '@kube2iam-ts/core'
import { applyingRules } from './check-role.ts'
import type { ChosenRole } from './choose-role.ts'
import type { Context, Stop } from './context.ts'
import type { DecisionInput, Denial } from './decision.ts'
import { quote, refuse, sentenceOf } from './refuse.ts'
import { sessionName } from './session-name.ts'
import { checkTags, clusterTags, parseAuthorTags } from './session-tags.ts'
import type { PolicyRule } from './settings.ts'
import { isExternalId, MOST_POLICY_ARNS } from './sts-limits.ts'
import type { Trace } from './trace.ts'

export interface Session {
  readonly kind: 'session'
  readonly grant: Grant
  readonly wouldDeny: readonly Denial[]
  readonly warnings: readonly string[]
}

/** Everything else that defines the session of the role. */
export function planSession(
  context: Context,
  input: DecisionInput,
  chosen: ChosenRole,
  trace: Trace,
): Session | Stop {
  const { session, keys } = context
  const { pod } = input
  const warnings: string[] = []
  const wouldDeny: Denial[] = []

  const external = externalId(context, input, chosen, trace)
  if (external.kind === 'denied') return external
  wouldDeny.push(...external.wouldDeny)

  const tags = sessionTags(context, input, chosen, trace)
  if (tags.kind === 'denied') return tags

  const hint = keys.sessionName === undefined ? undefined : pod.annotations[keys.sessionName]
  const name = sessionName({ scope: session.scope, pod, role: chosen.role, hint })
  if (name.changed) warnings.push(`the session name was changed to ${name.text}`)
  trace('session name', 'chosen', () => name.text)

  const durationSeconds = duration(context, input, warnings)
  trace('session duration', 'chosen', () => `${durationSeconds} seconds`)

  const { sourceIdentity: sourceScope } = session
  const policyArns = [
    ...new Set([
      ...(session.policyArns ?? []),
      ...applyingRules(context, input).flatMap(({ rule }) => rule.policyArns ?? []),
    ]),
  ]
  if (policyArns.length > MOST_POLICY_ARNS) {
    const why = `the settings and the rules that look at it add up to ${policyArns.length} session policies`
    trace('session policies', 'failed', () => why)
    return refuse('session-invalid', pod, `${why}, and STS takes ${MOST_POLICY_ARNS}`, chosen.role.text)
  }
  return {
    kind: 'session',
    warnings,
    wouldDeny,
    grant: {
      role: chosen.role,
      sessionName: name.text,
      durationSeconds,
      externalId: external.value,
      sourceIdentity:
        sourceScope === undefined
          ? undefined
          : sessionName({ scope: sourceScope, pod, role: chosen.role }).text,
      tags: tags.tags,
      transitiveTagKeys: session.transitiveTags === true ? tags.facts : [],
      policyArns,
      policy: session.policy,
      region: session.region,
    },
  }
}

interface ExternalId {
  readonly kind: 'external-id'
  readonly value: string | undefined
  readonly wouldDeny: readonly Denial[]
}

function externalId(
  context: Context,
  input: DecisionInput,
  { role }: ChosenRole,
  trace: Trace,
): ExternalId | Denial {
  const rule = 'external ID'
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
    trace(rule, 'failed', () => sentenceOf(denial, pod))
    return denial
  }
  let value = stated
  const wouldDeny: Denial[] = []
  for (const { name, mode, rule: compiled } of applyingRules(context, input)) {
    const problem = externalIdProblem(compiled, value, key)
    if (problem === undefined) {
      value ??= compiled.externalId
      continue
    }
    const denial = refuse(
      'external-id-required',
      pod,
      `policy rule ${quote(name)} of the configuration file ${problem}`,
      role.text,
    )
    trace(rule, mode === 'audit' ? 'would-fail' : 'failed', () => sentenceOf(denial, pod))
    if (mode === 'enforce') return denial
    wouldDeny.push(denial)
  }
  trace(rule, value === undefined ? 'skipped' : 'chosen', () =>
    value === undefined ? 'none' : 'one is used',
  )
  return { kind: 'external-id', value, wouldDeny }
}

function externalIdProblem(
  rule: PolicyRule,
  value: string | undefined,
  key = '(none is configured)',
): string | undefined {
  if (rule.externalId !== undefined && value !== undefined && value !== rule.externalId) {
    return `prescribes another external ID; remove annotation ${key}`
  }
  if (rule.requireExternalId !== true || value !== undefined) return undefined
  return `requires an external ID; add annotation ${key}`
}

interface PlannedTags {
  readonly kind: 'tags'
  readonly tags: Readonly<Record<string, string>>
  /** The keys of those that state facts of the cluster: only these are ever passed on. */
  readonly facts: readonly string[]
}

function sessionTags(
  { session, keys }: Context,
  { pod }: DecisionInput,
  { role }: ChosenRole,
  trace: Trace,
): PlannedTags | Denial {
  const text = keys.sessionTags === undefined ? undefined : pod.annotations[keys.sessionTags]
  const author = text === undefined || text === '' ? undefined : parseAuthorTags(text)
  const facts = session.tags === true ? clusterTags(session.scope, pod, session.clusterName) : {}
  const tags = author?.kind === 'invalid' ? author : checkTags({ ...author?.tags, ...facts })
  if (tags.kind === 'tags') {
    const count = Object.keys(tags.tags).length
    trace(
      'session tags',
      count === 0 ? 'skipped' : 'chosen',
      () => Object.keys(tags.tags).join(', ') || 'none',
    )
    return { ...tags, facts: Object.keys(facts) }
  }
  const where =
    author?.kind === 'invalid'
      ? `annotation ${keys.sessionTags} cannot be used`
      : 'STS would refuse the session tags'
  trace('session tags', 'failed', () => tags.why)
  return refuse('session-invalid', pod, `${where}: ${tags.why}`, role.text)
}

/** The shortest of what is asked for, what STS grants and what the rules allow. */
function duration(context: Context, input: DecisionInput, warnings: string[]): number {
  const { durationSeconds, maxDurationSeconds } = context.session
  let seconds = durationSeconds
  if (seconds > maxDurationSeconds) {
    seconds = maxDurationSeconds
    warnings.push(
      `the duration was cut from ${durationSeconds} to ${maxDurationSeconds} seconds: STS refuses more than 3600 where one role assumes another`,
    )
  }
  for (const { name, rule } of applyingRules(context, input)) {
    if (rule.maxDurationSeconds === undefined || rule.maxDurationSeconds >= seconds) continue
    seconds = rule.maxDurationSeconds
    warnings.push(`policy rule ${quote(name)} cut the duration to ${seconds} seconds`)
  }
  return seconds
}
