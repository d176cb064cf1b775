import type { TrustPolicy } from './trust-policy.ts'

/** What IAM would not have taken as a trust policy; `path` is within the policy. */
export interface TrustPolicyProblem {
  readonly kind: 'invalid'
  readonly path: string
  readonly message: string
}

export type ParsedTrustPolicy = { readonly kind: 'policy'; readonly policy: TrustPolicy } | TrustPolicyProblem

/** Reads a trust policy, with the grammar that IAM holds it to. Operators and keys of conditions are judged later. */
export function parseTrustPolicy(value: unknown): ParsedTrustPolicy {
  const problem = policyProblem(value)
  return problem ?? { kind: 'policy', policy: value as TrustPolicy }
}

type Problem = TrustPolicyProblem | undefined
const wrong = (path: string, message: string): TrustPolicyProblem => ({ kind: 'invalid', path, message })

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isTexts = (value: unknown): boolean =>
  typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string'))
const isScalars = (value: unknown): boolean =>
  (Array.isArray(value) ? value : [value]).every((item) =>
    ['string', 'number', 'boolean'].includes(typeof item),
  )

function policyProblem(value: unknown): Problem {
  if (!isMap(value)) return wrong('', 'expected a trust policy: a map with Statement')
  const unknown = Object.keys(value).find((key) => !['Version', 'Id', 'Statement'].includes(key))
  if (unknown !== undefined)
    return wrong(unknown, 'a trust policy has no such element; it has Version and Statement')
  const { Version: version, Statement: statement } = value
  if (version !== undefined && version !== '2012-10-17' && version !== '2008-10-17') {
    return wrong('Version', 'expected "2012-10-17" or "2008-10-17", in quotes')
  }
  if (isMap(statement)) return statementProblem(statement, 'Statement')
  if (!Array.isArray(statement)) return wrong('Statement', 'expected a statement or a list of statements')
  return first(statement.map((one, index) => statementProblem(one, `Statement[${index}]`)))
}

const ELEMENTS = ['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Condition']

function statementProblem(value: unknown, path: string): Problem {
  if (!isMap(value)) return wrong(path, 'expected a statement: a map with Effect, Principal and Action')
  const unknown = Object.keys(value).find((key) => !ELEMENTS.includes(key))
  if (unknown !== undefined) {
    return wrong(
      `${path}.${unknown}`,
      `a statement of a trust policy has no such element; it has ${ELEMENTS.join(', ')}`,
    )
  }
  const oneOf = (a: string, b: string): Problem =>
    (value[a] === undefined) === (value[b] === undefined) ? wrong(path, `expected ${a} or ${b}`) : undefined
  return (
    (value['Effect'] === 'Allow' || value['Effect'] === 'Deny'
      ? undefined
      : wrong(`${path}.Effect`, 'expected Allow or Deny')) ??
    oneOf('Principal', 'NotPrincipal') ??
    oneOf('Action', 'NotAction') ??
    first(
      ['Principal', 'NotPrincipal'].map((name) =>
        value[name] === undefined ? undefined : principalProblem(value[name], `${path}.${name}`),
      ),
    ) ??
    first(
      ['Action', 'NotAction'].map((name) =>
        value[name] === undefined || isTexts(value[name])
          ? undefined
          : wrong(`${path}.${name}`, 'expected an action such as "sts:AssumeRole", or a list of them'),
      ),
    ) ??
    conditionProblem(value['Condition'], `${path}.Condition`)
  )
}

function principalProblem(value: unknown, path: string): Problem {
  if (value === '*') return undefined
  if (!isMap(value)) return wrong(path, 'expected "*", or a map such as {"AWS": "arn:…"}')
  const [kind] = Object.entries(value).find(([, names]) => !isTexts(names)) ?? []
  return kind === undefined ? undefined : wrong(`${path}.${kind}`, 'expected a principal or a list of them')
}

function conditionProblem(value: unknown, path: string): Problem {
  if (value === undefined) return undefined
  if (!isMap(value)) return wrong(path, 'expected a map from operators to keys')
  for (const [operator, keys] of Object.entries(value)) {
    if (!isMap(keys)) return wrong(`${path}.${operator}`, 'expected a map from condition keys to values')
    const [key] = Object.entries(keys).find(([, wanted]) => !isScalars(wanted)) ?? []
    if (key !== undefined)
      return wrong(`${path}.${operator}.${key}`, 'expected a text, a number, true or false, or a list')
  }
  return undefined
}

const first = (problems: readonly Problem[]): Problem => problems.find((problem) => problem !== undefined)
