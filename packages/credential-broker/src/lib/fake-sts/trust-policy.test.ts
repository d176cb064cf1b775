import { describe, expect, test } from 'vitest'
import { StsRefusal } from './answers.ts'
import { assumeRole, type Surroundings } from './assume-role.ts'
import { parseTrustPolicy } from './parse-trust-policy.ts'
import type { TrustPolicy, TrustStatement } from './trust-policy.ts'

const ROLE = 'arn:aws:iam::123456789012:role/app'
const NODE = 'arn:aws:iam::123456789012:role/node'
const SESSION = 'arn:aws:sts::123456789012:assumed-role/node/i-0abc'
const ROOT = 'arn:aws:iam::123456789012:root'
const caller = {
  arn: SESSION,
  userId: 'AROANODE:i-0abc',
  account: '123456789012',
  roleArn: NODE,
  transitiveTags: {},
  sourceIdentity: undefined,
}
const request = {
  roleArn: ROLE,
  sessionName: 'shop.web',
  durationSeconds: 3600,
  externalId: undefined,
  sourceIdentity: undefined,
  tags: {},
  transitiveTagKeys: [],
  policyArns: [],
  policy: undefined,
}
const here: Surroundings = {
  now: Date.parse('2026-01-01T00:00:00Z'),
  region: 'eu-west-1',
  organizationId: undefined,
}

type Asked = Partial<typeof request> & { readonly tags?: Record<string, string> }

/** `allowed`, `denied`, or what could not be judged. */
function verdict(policy: unknown, asked: Asked = {}, surroundings: Partial<Surroundings> = {}): string {
  const parsed = parseTrustPolicy(policy)
  if (parsed.kind === 'invalid') return `invalid ${parsed.path}`
  try {
    const role = { arn: ROLE, id: 'AROAAPP', trustPolicy: parsed.policy }
    assumeRole(caller, { ...request, ...asked }, role, ['*'], { ...here, ...surroundings })
    return 'allowed'
  } catch (error) {
    if (!(error instanceof StsRefusal)) throw error
    expect(error.code).toBe('AccessDenied')
    return error.notJudged.length === 0 ? 'denied' : `not judged: ${error.notJudged.join('; ')}`
  }
}
const allow = {
  Effect: 'Allow',
  Principal: { AWS: NODE },
  Action: ['sts:AssumeRole', 'sts:TagSession'],
} as const
const deny = { Effect: 'Deny', Principal: '*', Action: 'sts:*' } as const
const version = { Version: '2012-10-17' }
const when = (condition: object) => ({ ...version, Statement: [{ ...allow, Condition: condition }] })
const unless = (condition: object) => ({ ...version, Statement: [allow, { ...deny, Condition: condition }] })

describe('conditions', () => {
  test.each<[object, string]>([
    [{ DateGreaterThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, 'allowed'],
    [{ DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, 'denied'],
    [{ DateLessThanEquals: { 'aws:EpochTime': 1_767_225_600 } }, 'allowed'],
    [{ NumericGreaterThan: { 'aws:EpochTime': '1767225600' } }, 'denied'],
    [{ NumericGreaterThanEquals: { 'aws:EpochTime': 1_767_225_600 } }, 'allowed'],
    [{ NumericNotEquals: { 'aws:EpochTime': [1, 2] } }, 'allowed'],
    [{ Bool: { 'aws:SecureTransport': true } }, 'allowed'],
    [{ Bool: { 'aws:SecureTransport': 'false' } }, 'denied'],
    [{ Bool: { 'aws:MultiFactorAuthPresent': 'true' } }, 'denied'],
    [{ BoolIfExists: { 'aws:MultiFactorAuthPresent': 'true' } }, 'denied'],
    [{ Null: { 'sts:ExternalId': 'true' } }, 'allowed'],
    [{ Null: { 'sts:ExternalId': false } }, 'denied'],
    [{ StringEquals: { 'sts:ExternalId': 'x' } }, 'denied'],
    [{ StringEqualsIfExists: { 'sts:ExternalId': 'x' } }, 'allowed'],
    [{ StringNotEquals: { 'sts:ExternalId': 'x' } }, 'allowed'],
    [{ StringNotEqualsIgnoreCase: { 'sts:RoleSessionName': 'SHOP.WEB' } }, 'denied'],
    [{ stringlike: { 'STS:rolesessionname': 'shop.*' } }, 'allowed'],
    [{ StringEquals: { 'aws:PrincipalType': 'AssumedRole' } }, 'allowed'],
    [{ StringEquals: { 'aws:RequestedRegion': 'eu-west-1' } }, 'allowed'],
    [{ ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/no*' } }, 'allowed'],
    [{ ArnLike: { 'aws:PrincipalArn': 'arn:*' } }, 'denied'],
    [{ ArnNotEquals: { 'aws:PrincipalArn': NODE } }, 'denied'],
    [{ StringEquals: { 'aws:userid': '${aws:userid}' } }, 'allowed'],
    [{ StringEquals: { 'sts:RoleSessionName': '${aws:username}' } }, 'denied'],
    [{ StringEquals: { 'sts:RoleSessionName': "${aws:username, 'shop.web'}" } }, 'allowed'],
    [{ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['a'] } }, 'allowed'],
    [{ 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['a'] } }, 'denied'],
    [{ 'ForAnyValue:StringNotEquals': { 'aws:TagKeys': ['a'] } }, 'denied'],
  ])('%j', (condition, expected) => {
    expect(verdict(when(condition))).toBe(expected)
  })

  test.each<[object, Record<string, string>, string]>([
    [{ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team', 'env'] } }, { team: 'a' }, 'allowed'],
    [{ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team'] } }, { team: 'a', env: 'b' }, 'denied'],
    [{ 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['team'] } }, { team: 'a', env: 'b' }, 'allowed'],
    [{ 'ForAnyValue:StringNotEquals': { 'aws:TagKeys': ['team'] } }, { team: 'a' }, 'denied'],
    [{ StringEquals: { 'aws:RequestTag/Team': 'a' } }, { team: 'a' }, 'allowed'],
    [{ StringEquals: { 'aws:RequestTag/other': 'a' } }, { team: 'a' }, 'denied'],
  ])('%j with tags %j', (condition, tags, expected) => {
    expect(verdict(when(condition), { tags })).toBe(expected)
  })

  test('the organization is known where it is told', () => {
    const policy = when({ StringEquals: { 'aws:PrincipalOrgID': 'o-abc1234567' } })
    expect(verdict(policy)).toBe('not judged: Statement[0]: condition key aws:PrincipalOrgID')
    expect(verdict(policy, {}, { organizationId: 'o-abc1234567' })).toBe('allowed')
    expect(verdict(policy, {}, { organizationId: 'o-other12345' })).toBe('denied')
  })
})

describe('a deny', () => {
  test.each<[object, string]>([
    [{ DateGreaterThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, 'denied'],
    [{ DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, 'allowed'],
    [
      { NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } },
      'not judged: Statement[1]: condition key aws:SourceIp',
    ],
    [
      { FutureEquals: { 'sts:ExternalId': 'x' } },
      'not judged: Statement[1]: condition operator FutureEquals',
    ],
    [
      { DateGreaterThan: { 'aws:CurrentTime': 'soon' } },
      'not judged: Statement[1]: DateGreaterThan aws:CurrentTime with soon',
    ],
    // One condition that does not hold decides, whatever the others are.
    [{ FutureEquals: { a: 'x' }, StringEquals: { 'sts:RoleSessionName': 'bank' } }, 'allowed'],
  ])('with %j', (condition, expected) => {
    expect(verdict(unless(condition))).toBe(expected)
  })

  test('that holds decides, whatever else cannot be judged', () => {
    const policy = { Statement: [{ ...allow, Condition: { FutureEquals: { a: 'x' } } }, deny] }
    expect(verdict(policy)).toBe('denied')
  })

  test.each<[string[], string]>([
    [[NODE, SESSION, ROOT], 'allowed'],
    [['*'], 'allowed'],
    [['arn:aws:iam::999999999999:root'], 'denied'],
    [[NODE], 'not judged: Statement[1]: NotPrincipal names the caller in part'],
  ])('of everybody but %j', (names, expected) => {
    const statement: TrustStatement = { Effect: 'Deny', NotPrincipal: { AWS: names }, Action: 'sts:*' }
    expect(verdict({ Statement: [allow, statement] })).toContain(expected)
  })

  test('of all but an action', () => {
    const but = (action: string): TrustPolicy => ({
      Statement: [allow, { Effect: 'Deny', Principal: '*', NotAction: action }],
    })
    expect(verdict(but('sts:AssumeRole'))).toBe('allowed')
    expect(verdict(but('sts:AssumeRole'), { tags: { a: 'b' } })).toBe('denied')
  })
})

test.each<[unknown, string]>([
  [null, ''],
  [{ Statement: 5 }, 'Statement'],
  [{ Statement: [null] }, 'Statement[0]'],
  [{ statement: [] }, 'statement'],
  [{ Version: 2012, Statement: [] }, 'Version'],
  [{ Statement: { ...allow, Effect: 'allow' } }, 'Statement.Effect'],
  [{ Statement: [allow, { ...allow, Resource: '*' }] }, 'Statement[1].Resource'],
  [{ Statement: [{ ...allow, Principal: 7 }] }, 'Statement[0].Principal'],
  [{ Statement: [{ ...allow, Principal: { AWS: [7] } }] }, 'Statement[0].Principal.AWS'],
  [{ Statement: [{ ...allow, NotPrincipal: '*' }] }, 'Statement[0]'],
  [{ Statement: [{ Effect: 'Allow', Principal: '*' }] }, 'Statement[0]'],
  [{ Statement: [{ ...allow, Action: {} }] }, 'Statement[0].Action'],
  [{ Statement: [{ ...allow, Condition: [] }] }, 'Statement[0].Condition'],
  [{ Statement: [{ ...allow, Condition: { Bool: true } }] }, 'Statement[0].Condition.Bool'],
  [{ Statement: [{ ...allow, Condition: { Bool: { a: null } } }] }, 'Statement[0].Condition.Bool.a'],
])('%j is no trust policy', (policy, path) => {
  expect(parseTrustPolicy(policy)).toMatchObject({ kind: 'invalid', path })
})
