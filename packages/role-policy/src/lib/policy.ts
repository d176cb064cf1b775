import { checkNamespace, checkRules } from './check-role.ts'
import { checkSettings } from './check-settings.ts'
import { chooseRole, isOwnRole } from './choose-role.ts'
import { type Context, isStop, type SessionContext } from './context.ts'
import type { Decision, DecisionInput, Explanation } from './decision.ts'
import { createNamespaceRuleReader } from './namespace-rules.ts'
import { loadPatternEngine, type PatternEngine } from './pattern-engine.ts'
import { compileRules } from './policy-rules.ts'
import { quote, refuse, sentenceOf } from './refuse.ts'
import { rememberDecisions } from './remember-decisions.ts'
import { planSession } from './session.ts'
import { annotationKeys, type PolicySettings } from './settings.ts'
import { LONGEST_CHAINED_SESSION_SECONDS } from './sts-limits.ts'
import { noTrace, recordTrace, type Trace } from './trace.ts'

/** Which role may this pod have, and by which session. */
export interface Policy {
  /** The decision. Pure: the same input gives the same decision, but for waiting. */
  decide(input: DecisionInput): Decision
  /** The same decision with every rule that was looked at, in order. */
  explain(input: DecisionInput): Explanation
  /**
   * Loads the engine for regular expressions. Not needed where nothing is written as one; a decision that meets one
   * before waits for `pattern-engine` and starts this by itself.
   */
  prepare(): Promise<void>
}

/** Makes the policy of these settings; throws `POLICY_INVALID` where a rule or a session setting cannot be used. */
export function createPolicy(settings: PolicySettings): Policy {
  let engine: PatternEngine | undefined
  let loading: Promise<void> | undefined
  const prepare = (): Promise<void> => {
    loading ??= loadPatternEngine().then(
      (loaded) => {
        engine = loaded
      },
      (error: unknown) => {
        loading = undefined
        throw error
      },
    )
    return loading
  }
  const session: SessionContext = {
    ...settings.session,
    scope: settings.session?.scope ?? 'pod',
    durationSeconds: settings.session?.durationSeconds ?? LONGEST_CHAINED_SESSION_SECONDS,
    maxDurationSeconds: settings.session?.maxDurationSeconds ?? LONGEST_CHAINED_SESSION_SECONDS,
  }
  checkSettings(settings, session)
  const context: Context = {
    settings,
    keys: annotationKeys(settings),
    mode: settings.namespaceRestrictions ?? 'off',
    session,
    reader: createNamespaceRuleReader({
      format: settings.namespaceRestrictionFormat ?? 'glob',
      base: settings.base,
      engine() {
        if (engine === undefined) prepare().catch(() => {})
        return engine
      },
    }),
    rules: compileRules(settings.rules ?? [], settings.base),
  }
  return {
    prepare,
    decide: rememberDecisions(context, (input) => evaluate(context, input, noTrace)),
    explain(input) {
      const { rules, trace } = recordTrace()
      const decision = evaluate(context, input, trace)
      const { pod, requested } = input
      return { pod: `${pod.namespace}/${pod.name}`, requested, decision, rules }
    },
  }
}

/** The order of the rules; the package's README has it as a table. */
function evaluate(context: Context, input: DecisionInput, trace: Trace): Decision {
  const { pod, requested } = input
  if (pod.hostNetwork && input.identifiedBy !== 'token') {
    const denial = refuse(
      'host-network',
      pod,
      'it uses the network of its node, so its address says nothing about who asks; run it without hostNetwork or let it use the container credentials endpoint',
    )
    trace('host network', 'failed', () => sentenceOf(denial, pod))
    return denial
  }
  trace('host network', 'passed', () =>
    pod.hostNetwork ? 'a token names the pod' : 'it has an address of its own',
  )

  const chosen = chooseRole(context, input, trace)
  if (isStop(chosen)) return chosen

  if (requested !== undefined && !isOwnRole(chosen.role, requested, context.settings.base)) {
    const denial = refuse(
      'role-mismatch',
      pod,
      `it asked for role ${quote(requested)}, and its own is ${chosen.role.text}; a pod has one role, so correct its annotation or the request`,
      chosen.role.text,
    )
    trace('requested role', 'failed', () => sentenceOf(denial, pod))
    return denial
  }
  trace('requested role', requested === undefined ? 'skipped' : 'passed', () =>
    requested === undefined ? 'none was named' : 'it is the role of the pod',
  )

  const namespace = checkNamespace(context, input, chosen, trace)
  if (isStop(namespace)) return namespace
  const rules = checkRules(context, input, chosen, trace)
  if (isStop(rules)) return rules
  const session = planSession(context, input, chosen, trace)
  if (isStop(session)) return session
  return {
    kind: 'granted',
    grant: session.grant,
    role: chosen.role,
    source: chosen.source,
    wouldDeny: [...namespace.wouldDeny, ...rules.wouldDeny, ...session.wouldDeny],
    warnings: session.warnings,
  }
}
