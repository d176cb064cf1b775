import { type ConditionFacts, type Judged, judgeConditions } from './policy-conditions.ts'
import { isLike, list, type OneOrMore, type PolicyScalar } from './policy-text.ts'
import type { Caller } from './sessions.ts'

/** A role's trust policy: the part of the IAM policy grammar that trust policies use. */
export interface TrustPolicy {
  readonly Version?: string
  readonly Id?: string
  readonly Statement: OneOrMore<TrustStatement>
}

export type TrustedPrincipal = '*' | { readonly AWS?: OneOrMore<string>; readonly [type: string]: unknown }

export interface TrustStatement {
  readonly Sid?: string
  readonly Effect: 'Allow' | 'Deny'
  /** One of the two. */
  readonly Principal?: TrustedPrincipal
  readonly NotPrincipal?: TrustedPrincipal
  /** One of the two. */
  readonly Action?: OneOrMore<string>
  readonly NotAction?: OneOrMore<string>
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore<PolicyScalar>>>>>
}

export type TrustAction = 'sts:AssumeRole' | 'sts:TagSession' | 'sts:SetSourceIdentity'

/** `not-judged`: it hangs on something that is not known here, which `why` names; nobody is let in by it. */
export type TrustVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied' }
  | { readonly kind: 'not-judged'; readonly why: readonly string[] }

/**
 * Whether the trust policy lets the caller perform the action: an explicit deny wins, no allow is a deny. What cannot be
 * judged decides nothing where the rest decides already.
 */
export function judgeTrust(
  policy: TrustPolicy,
  caller: Caller,
  action: TrustAction,
  facts: Omit<ConditionFacts, 'variables'>,
): TrustVerdict {
  const variables = policy.Version === '2012-10-17'
  const judged = list(policy.Statement).map((statement, index) => ({
    effect: statement.Effect,
    match: all([
      matchesAction(statement, action),
      matchesPrincipal(statement, caller),
      judgeConditions(statement.Condition ?? {}, { ...facts, variables }),
    ]),
    index,
  }))
  const of = (effect: 'Allow' | 'Deny', wanted: Judged['kind']) =>
    judged.filter(({ effect: its, match }) => its === effect && match.kind === wanted)
  if (of('Deny', 'yes').length > 0) return { kind: 'denied' }
  const unclear = [...of('Deny', 'unknown'), ...of('Allow', 'unknown')]
  const allowed = of('Allow', 'yes').length > 0
  if (allowed && of('Deny', 'unknown').length === 0) return { kind: 'allowed' }
  if (!allowed && of('Allow', 'unknown').length === 0) return { kind: 'denied' }
  return {
    kind: 'not-judged',
    why: unclear.flatMap(({ match, index }) =>
      match.kind === 'unknown' ? match.why.map((why) => `Statement[${index}]: ${why}`) : [],
    ),
  }
}

/** One that is not so decides, whatever cannot be judged. */
function all(parts: readonly Judged[]): Judged {
  if (parts.some(({ kind }) => kind === 'no')) return { kind: 'no' }
  const why = parts.flatMap((part) => (part.kind === 'unknown' ? part.why : []))
  return why.length > 0 ? { kind: 'unknown', why } : { kind: 'yes' }
}

const yesOrNo = (is: boolean): Judged => ({ kind: is ? 'yes' : 'no' })

function matchesAction({ Action, NotAction }: TrustStatement, action: TrustAction): Judged {
  const named = (patterns: OneOrMore<string>): boolean =>
    list(patterns).some((pattern) => isLike(action.toLowerCase(), pattern.toLowerCase()))
  return yesOrNo(NotAction === undefined ? named(Action ?? []) : !named(NotAction))
}

function matchesPrincipal({ Principal, NotPrincipal }: TrustStatement, caller: Caller): Judged {
  if (NotPrincipal === undefined) return yesOrNo(namedBy(Principal ?? {}, caller).some(Boolean))
  // IAM excepts a session only where session, role and account are named, each as a principal of its own.
  const named = namedBy(NotPrincipal, caller)
  if (named.every(Boolean)) return { kind: 'no' }
  if (!named.some(Boolean)) return { kind: 'yes' }
  return {
    kind: 'unknown',
    why: ['NotPrincipal names the caller in part; IAM excepts it where session, role and account are named'],
  }
}

/** Whether the caller is named as itself, as its role, and as its account. */
function namedBy(principal: TrustedPrincipal, caller: Caller): readonly boolean[] {
  if (principal === '*') return [true]
  const names = list(principal.AWS ?? [])
  if (names.includes('*')) return [true]
  const root = new RegExp(`^arn:[a-z-]+:iam::${caller.account}:root$`)
  return [
    names.includes(caller.arn),
    ...(caller.roleArn === undefined ? [] : [names.includes(caller.roleArn)]),
    // An account, by number or as its root, stands for every principal in it.
    names.some((name) => name === caller.account || root.test(name)),
  ]
}
