import type { Grant } from '@kube2iam-ts/core'
import { applyingRules } from './check-role.ts'
import type { ChosenRole } from './choose-role.ts'
import type { Context, Stop } from './context.ts'
import type { DecisionInput, Denial } from './decision.ts'
import { planExternalId } from './external-id.ts'
import { quote, refuse } from './refuse.ts'
import { sessionName } from './session-name.ts'
import { checkTags, clusterTags, parseAuthorTags } from './session-tags.ts'
import { MOST_POLICY_ARNS } from './sts-limits.ts'
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

  const external = planExternalId(context, input, chosen, trace)
  if (external.kind === 'denied') return external
  wouldDeny.push(...external.wouldDeny)
  warnings.push(...external.warnings)

  const tags = sessionTags(context, input, chosen, trace)
  if (tags.kind === 'denied') return tags

  const hint = keys.sessionName === undefined ? undefined : pod.annotations[keys.sessionName]
  const name = sessionName({ scope: session.scope, pod, role: chosen.role, hint })
  if (name.changed) warnings.push(`the session name was changed to ${name.text}`)
  trace('session name', 'chosen', () => name.text)

  const durationSeconds = duration(context, input, warnings)
  trace('session duration', 'chosen', () => `${durationSeconds} seconds`)

  const policies = sessionPolicies(context, input, chosen, trace)
  if (policies.kind === 'denied') return policies
  wouldDeny.push(...policies.wouldDeny)
  warnings.push(...policies.warnings)

  const { sourceIdentity: sourceScope } = session
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
      policyArns: policies.arns,
      policy: session.policy,
      region: session.region,
    },
  }
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

interface PlannedPolicies {
  readonly kind: 'policies'
  readonly arns: readonly string[]
  readonly wouldDeny: readonly Denial[]
  readonly warnings: readonly string[]
}

/** Those of the settings and of the rules that are enforced, and what the rules in audit mode would add. */
function sessionPolicies(
  context: Context,
  input: DecisionInput,
  { role }: ChosenRole,
  trace: Trace,
): PlannedPolicies | Denial {
  const rules = applyingRules(context, input)
  const arns = new Set(context.session.policyArns)
  for (const { mode, rule } of rules) {
    if (mode === 'enforce') for (const arn of rule.policyArns ?? []) arns.add(arn)
  }
  const tooMany = (count: number, outcome: 'failed' | 'would-fail'): Denial => {
    const why = `the settings and the rules that look at it add up to ${count} session policies`
    trace('session policies', outcome, () => why)
    return refuse('session-invalid', input.pod, `${why}, and STS takes ${MOST_POLICY_ARNS}`, role.text)
  }
  if (arns.size > MOST_POLICY_ARNS) return tooMany(arns.size, 'failed')
  const wished = new Set(arns)
  const warnings: string[] = []
  for (const { name, mode, rule } of rules) {
    const before = wished.size
    if (mode === 'audit') for (const arn of rule.policyArns ?? []) wished.add(arn)
    if (wished.size > before) {
      warnings.push(`policy rule ${quote(name)} would add session policies if it were enforced`)
    }
  }
  const wouldDeny = wished.size > MOST_POLICY_ARNS ? [tooMany(wished.size, 'would-fail')] : []
  return { kind: 'policies', arns: [...arns], wouldDeny, warnings }
}

/** The shortest of what is asked for, what STS grants and what the rules that are enforced allow. */
function duration(context: Context, input: DecisionInput, warnings: string[]): number {
  const { durationSeconds, maxDurationSeconds } = context.session
  let seconds = durationSeconds
  if (seconds > maxDurationSeconds) {
    seconds = maxDurationSeconds
    warnings.push(
      `the duration was cut from ${durationSeconds} to ${maxDurationSeconds} seconds: STS refuses more than 3600 where one role assumes another`,
    )
  }
  const rules = applyingRules(context, input)
  for (const { name, mode, rule } of rules) {
    if (mode === 'audit' || !isShorter(rule.maxDurationSeconds, seconds)) continue
    seconds = rule.maxDurationSeconds
    warnings.push(`policy rule ${quote(name)} cut the duration to ${seconds} seconds`)
  }
  // What is shorter still stands in rules in audit mode.
  for (const { name, rule } of rules) {
    if (!isShorter(rule.maxDurationSeconds, seconds)) continue
    warnings.push(
      `policy rule ${quote(name)} would cut the duration to ${rule.maxDurationSeconds} seconds if it were enforced`,
    )
  }
  return seconds
}

const isShorter = (limit: number | undefined, seconds: number): limit is number =>
  limit !== undefined && limit < seconds
