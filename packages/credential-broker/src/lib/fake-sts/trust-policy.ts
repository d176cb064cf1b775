import type { Caller } from './sessions.ts'

type OneOrMore<T> = T | readonly T[]

/** A role's trust policy: the part of the IAM policy grammar that trust policies use. */
export interface TrustPolicy {
  readonly Version?: string
  readonly Statement: OneOrMore<TrustStatement>
}

export interface TrustStatement {
  readonly Sid?: string
  readonly Effect: 'Allow' | 'Deny'
  readonly Principal: '*' | { readonly AWS?: OneOrMore<string>; readonly [type: string]: unknown }
  readonly Action: OneOrMore<string>
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore<string>>>>>
}

/** Condition keys of the request, lower case; several values for multi-valued keys. */
export type RequestContext = Readonly<Record<string, readonly string[] | undefined>>

/** Whether the trust policy lets the caller perform the action: an explicit deny wins, no allow is a deny. */
export function isTrusted(
  policy: TrustPolicy,
  caller: Caller,
  action: 'sts:AssumeRole' | 'sts:TagSession' | 'sts:SetSourceIdentity',
  context: RequestContext,
): boolean {
  const matching = list(policy.Statement).filter(
    (statement) =>
      list(statement.Action).some((pattern) => isLike(action.toLowerCase(), pattern.toLowerCase())) &&
      namesCaller(statement.Principal, caller) &&
      Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
        Object.entries(keys).every(([key, wanted]) =>
          holds(operator, context[key.toLowerCase()], list(wanted)),
        ),
      ),
  )
  return (
    matching.some((statement) => statement.Effect === 'Allow') &&
    !matching.some((statement) => statement.Effect === 'Deny')
  )
}

function namesCaller(principal: TrustStatement['Principal'], caller: Caller): boolean {
  if (principal === '*') return true
  return list(principal.AWS ?? []).some(
    (name) =>
      name === '*' ||
      name === caller.arn ||
      name === caller.roleArn ||
      // An account, by number or as its root, stands for every principal in it.
      name === caller.account ||
      new RegExp(`^arn:[a-z-]+:iam::${caller.account}:root$`).test(name),
  )
}

function holds(operator: string, given: readonly string[] | undefined, wanted: readonly string[]): boolean {
  const [, quantifier = '', base = '', ifExists = ''] =
    /^(?:(ForAllValues|ForAnyValue):)?(.*?)(IfExists)?$/.exec(operator) ?? []
  if (base === 'Null') return (given === undefined) === (wanted[0] === 'true')
  const negated = base.includes('Not')
  if (given === undefined) return ifExists !== '' || negated || quantifier === 'ForAllValues'
  const test = TESTS[base]
  // An operator that is not known here must not let anybody in.
  if (test === undefined) return false
  const passes = (value: string) =>
    negated ? !wanted.some((text) => test(value, text)) : wanted.some((text) => test(value, text))
  return quantifier === 'ForAnyValue' ? given.some(passes) : given.every(passes)
}

const TESTS: Readonly<Record<string, (value: string, wanted: string) => boolean>> = {
  StringEquals: (value, wanted) => value === wanted,
  StringNotEquals: (value, wanted) => value === wanted,
  StringEqualsIgnoreCase: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
  StringLike: isLike,
  StringNotLike: isLike,
  ArnEquals: isLike,
  ArnLike: isLike,
  ArnNotEquals: isLike,
  ArnNotLike: isLike,
}

/** IAM's wildcards: `*` is any text, `?` any one character. */
export function isLike(value: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${source}$`, 's').test(value)
}

const list = <T>(value: OneOrMore<T>): readonly T[] => (Array.isArray(value) ? value : [value as T])
