import { isCoded, parseCidr, toIpAddress } from '@kube2iam-ts/core'
import { isLike, list, type OneOrMore, type PolicyScalar } from './policy-text.ts'

/**
 * The request as conditions see it, keys in lower case. A key with `undefined` is known to be absent; a key that is not
 * here at all is one that nobody can know.
 */
export type RequestContext = Readonly<Record<string, readonly string[] | undefined>>

export interface ConditionFacts {
  readonly context: RequestContext
  /** Keys that are known to be absent by how they begin: those of other ways to assume a role, tags not given. */
  readonly absent: readonly string[]
  /** Whether `${aws:userid}` stands for a value, as in policies of version 2012-10-17. */
  readonly variables: boolean
}

/** Whether something is so; `unknown` where it hangs on what is not known here. */
export type Judged =
  | { readonly kind: 'yes' | 'no' }
  | { readonly kind: 'unknown'; readonly why: readonly string[] }

type Conditions = Readonly<Record<string, Readonly<Record<string, OneOrMore<PolicyScalar>>>>>

/** Whether all conditions of a statement hold. */
export function judgeConditions(conditions: Conditions, facts: ConditionFacts): Judged {
  const why: string[] = []
  for (const [operator, keys] of Object.entries(conditions)) {
    for (const [key, wanted] of Object.entries(keys)) {
      const judged = judgeCondition(operator, key, list(wanted).map(String), facts)
      if (judged.kind === 'no') return judged
      if (judged.kind === 'unknown') why.push(...judged.why)
    }
  }
  return why.length > 0 ? { kind: 'unknown', why } : { kind: 'yes' }
}

const YES: Judged = { kind: 'yes' }
const NO: Judged = { kind: 'no' }
const unknown = (why: string): Judged => ({ kind: 'unknown', why: [why] })
const judged = (is: boolean): Judged => (is ? YES : NO)

function judgeCondition(
  operator: string,
  key: string,
  texts: readonly string[],
  facts: ConditionFacts,
): Judged {
  const [, quantifier = '', base = '', ifExists = ''] =
    /^(?:(ForAllValues|ForAnyValue):)?(.*?)(IfExists)?$/i.exec(operator) ?? []
  const name = base.toLowerCase()
  const known = name === 'null' ? undefined : TESTS[name]
  if (name !== 'null' && known === undefined) return unknown(`condition operator ${operator}`)
  const lower = key.toLowerCase()
  const isKnown =
    Object.hasOwn(facts.context, lower) || facts.absent.some((prefix) => lower.startsWith(prefix))
  if (!isKnown) return unknown(`condition key ${key}`)
  const given = facts.context[lower]
  if (known === undefined) return judged(texts.some((text) => (given === undefined) === (text === 'true')))
  if (given === undefined) {
    if (ifExists !== '') return YES
    if (quantifier !== '') return judged(quantifier.toLowerCase() === 'forallvalues')
    return judged(known.negated)
  }
  const wanted: string[] = []
  for (const text of texts) {
    const value = withVariables(text, facts)
    if (typeof value === 'object') return unknown(value.unknown)
    if (value !== undefined) wanted.push(value)
  }
  const passes = (value: string): boolean | undefined => {
    const matches = new Set(wanted.map((text) => known.test(value, text)))
    if (matches.has(true)) return !known.negated
    return matches.has(undefined) ? undefined : known.negated
  }
  const each = new Set(given.map(passes))
  const decides = quantifier.toLowerCase() === 'foranyvalue'
  if (each.has(decides)) return judged(decides)
  if (each.has(undefined)) return unknown(`${operator} ${key} with ${wanted.join(', ')}`)
  return judged(!decides)
}

/** The text with `${key}` replaced: `undefined` where a key is absent, so that nothing equals it. */
function withVariables(text: string, facts: ConditionFacts): string | undefined | { unknown: string } {
  if (!facts.variables || !text.includes('${')) return text
  const found = [...text.matchAll(/\$\{([^}]*)\}/g)].map(([, inner = '']) => {
    const [key = '', fallback] = inner.split(/\s*,\s*'?/)
    return { lower: key.trim().toLowerCase(), fallback: fallback?.replace(/'$/, '') }
  })
  const literal = (name: string): boolean => ['*', '?', '$'].includes(name)
  for (const { lower, fallback } of found) {
    const value = facts.context[lower]
    if (literal(lower) || value !== undefined || fallback !== undefined) continue
    if (Object.hasOwn(facts.context, lower) || facts.absent.some((prefix) => lower.startsWith(prefix))) {
      return undefined
    }
    return { unknown: `policy variable \${${lower}}` }
  }
  let index = 0
  return text.replaceAll(/\$\{[^}]*\}/g, () => {
    const { lower = '', fallback = '' } = found[index++] ?? {}
    return literal(lower) ? lower : (facts.context[lower]?.[0] ?? fallback)
  })
}

interface Test {
  readonly negated: boolean
  /** `undefined`: the operand is none of the operator's kind. */
  readonly test: (value: string, wanted: string) => boolean | undefined
}

const compared =
  (read: (text: string) => number, holds: (a: number, b: number) => boolean) =>
  (value: string, wanted: string): boolean | undefined => {
    const [a, b] = [read(value), read(wanted)]
    return Number.isNaN(a) || Number.isNaN(b) ? undefined : holds(a, b)
  }
const ordered = (name: string, read: (text: string) => number): Readonly<Record<string, Test>> => ({
  [`${name}equals`]: { negated: false, test: compared(read, (a, b) => a === b) },
  [`${name}notequals`]: { negated: true, test: compared(read, (a, b) => a === b) },
  [`${name}lessthan`]: { negated: false, test: compared(read, (a, b) => a < b) },
  [`${name}lessthanequals`]: { negated: false, test: compared(read, (a, b) => a <= b) },
  [`${name}greaterthan`]: { negated: false, test: compared(read, (a, b) => a > b) },
  [`${name}greaterthanequals`]: { negated: false, test: compared(read, (a, b) => a >= b) },
})
const both = (name: string, test: Test['test']): Readonly<Record<string, Test>> => {
  const [, kind = '', how = ''] = /^([a-z]+?)(equals|like|equalsignorecase)$/.exec(name) ?? []
  return { [name]: { negated: false, test }, [`${kind}not${how}`]: { negated: true, test } }
}

const number = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text))
/** ISO 8601, or seconds since the epoch. */
const instant = (text: string): number =>
  /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)

/** Components between the first five colons are compared one by one, so that no `*` reaches into the next. */
function isArnLike(value: string, pattern: string): boolean {
  const parts = (arn: string): readonly string[] => {
    const split = arn.split(':')
    return [...split.slice(0, 5), split.slice(5).join(':')]
  }
  const patterns = parts(pattern)
  return parts(value).every((part, index) => isLike(part, patterns[index] ?? ''))
}

function isWithin(value: string, range: string): boolean | undefined {
  const address = toIpAddress(value)
  if (address === undefined) return undefined
  try {
    return parseCidr(range).contains(address)
  } catch (error) {
    if (isCoded(error)) return undefined
    throw error
  }
}

/** IAM's condition operators, in lower case. */
const TESTS: Readonly<Record<string, Test>> = {
  ...both('stringequals', (value, wanted) => value === wanted),
  ...both('stringequalsignorecase', (value, wanted) => value.toLowerCase() === wanted.toLowerCase()),
  ...both('stringlike', isLike),
  ...both('arnequals', isArnLike),
  ...both('arnlike', isArnLike),
  ...ordered('numeric', number),
  ...ordered('date', instant),
  bool: { negated: false, test: (value, wanted) => value.toLowerCase() === wanted.toLowerCase() },
  binaryequals: { negated: false, test: (value, wanted) => value === wanted },
  ipaddress: { negated: false, test: isWithin },
  notipaddress: { negated: true, test: isWithin },
}
