import { isCoded, parseBaseArn } from '@kube2iam-ts/core'
import { describe, expect, test } from 'vitest'
import { parsePolicyRules } from './parse-rules.ts'
import { createPolicy } from './policy.ts'
import { annotationKeys, type PolicySettings, readAnnotations } from './settings.ts'

function refusal(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (isCoded(error, 'POLICY_INVALID')) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

describe('settings that cannot be used are refused at the start, saying where and what', () => {
  const many = Array.from({ length: 11 }, (_, index) => `arn:aws:iam::aws:policy/p${index}`)

  test.each<[PolicySettings, RegExp]>([
    [{ defaultRole: 'not a role' }, /^defaultRole: "not a role" is not an IAM role/],
    [{ defaultRole: '' }, /^defaultRole: /],
    [{ session: { durationSeconds: 500 } }, /^session\.durationSeconds: 500 is not .* 900-43200/],
    [{ session: { durationSeconds: 50_000 } }, /^session\.durationSeconds: 50000/],
    [{ session: { durationSeconds: 900.5 } }, /^session\.durationSeconds: 900\.5/],
    [{ session: { maxDurationSeconds: 60 } }, /^session\.maxDurationSeconds: 60/],
    [{ session: { clusterName: 'a<b' } }, /^session\.clusterName: /],
    [{ session: { transitiveTags: true } }, /^session\.transitiveTags: /],
    [{ session: { policyArns: ['ReadOnlyAccess'] } }, /^session\.policyArns\[0\]: "ReadOnlyAccess"/],
    [{ session: { policyArns: many } }, /^session\.policyArns: STS takes 10/],
    [{ session: { policy: 'allow all' } }, /^session\.policy: it is not JSON/],
    [{ session: { policy: JSON.stringify('x'.repeat(2048)) } }, /^session\.policy: it has 2050 characters/],
    [{ session: { scope: 'role', sourceIdentity: 'pod' } }, /^session\.sourceIdentity: "pod" is finer/],
    [{ session: { scope: 'service-account', sourceIdentity: 'pod' } }, /^session\.sourceIdentity/],
    [{ rules: [{}, { maxDurationSeconds: 1 }] }, /^rules\[1\]\.maxDurationSeconds: 1 is not/],
    [{ rules: [{ externalId: 'x' }] }, /^rules\[0\]\.externalId/],
    [
      { rules: [{ allowedRoles: ['ok', 'arn:*'] }] },
      /^rules\[0\]\.allowedRoles\[1\]: "arn:\*" cannot be used/,
    ],
    [{ rules: [{ namespaces: ['Default'] }] }, /^rules\[0\]\.namespaces\[0\]: "Default"/],
    [{ rules: [{ serviceAccounts: [''] }] }, /^rules\[0\]\.serviceAccounts\[0\]/],
    [{ rules: [{ policyArns: ['x'] }] }, /^rules\[0\]\.policyArns\[0\]/],
  ])('%j', (settings, message) => {
    expect(refusal(() => createPolicy(settings))).toMatch(message)
  })

  test('what is right is taken', () => {
    const base = parseBaseArn('arn:aws:iam::123456789012:role/')
    createPolicy({})
    createPolicy({ base, defaultRole: 'team/fallback' })
    createPolicy({ defaultRole: 'fallback', basePending: true })
    createPolicy({ session: { scope: 'namespace', sourceIdentity: 'namespace', durationSeconds: 43_200 } })
    createPolicy({ session: { tags: true, transitiveTags: true, clusterName: 'prod-eu' } })
  })
})

describe('rules as a configuration file has them', () => {
  test('are read', () => {
    const rules = [
      { name: 'payments', namespaces: ['payments-*'], serviceAccounts: ['*'], allowedRoles: ['payments/*'] },
      { requireExternalId: true, externalId: 'ab', maxDurationSeconds: 900, policyArns: [], mode: 'audit' },
      {},
    ]
    expect(parsePolicyRules(rules)).toEqual(rules)
  })

  test.each([
    [undefined, 'rules: it must be a list'],
    [{}, 'rules: it must be a list'],
    [['x'], 'rules[0]: it must be an object'],
    [[null], 'rules[0]: it must be an object'],
    [[[]], 'rules[0]: it must be an object'],
    [
      [{}, { allowedRole: ['x'] }],
      'rules[1].allowedRole: no rule has this field; the fields are name, namespaces,',
    ],
    [[{ constructor: 1 }], 'rules[0].constructor: no rule has this field'],
    [[{ name: '' }], 'rules[0].name: it must be text that is not empty'],
    [[{ namespaces: 'payments' }], 'rules[0].namespaces: it must be a list of texts'],
    [[{ allowedRoles: [5] }], 'rules[0].allowedRoles: it must be a list of texts'],
    [[{ allowedRoles: null }], 'rules[0].allowedRoles: it must be a list of texts'],
    [[{ requireExternalId: 'yes' }], 'rules[0].requireExternalId: it must be true or false'],
    [[{ maxDurationSeconds: '900' }], 'rules[0].maxDurationSeconds: it must be a number'],
    [[{ mode: 'off' }], 'rules[0].mode: it must be "audit" or "enforce"'],
  ])('%j is refused', (value, message) => {
    expect(refusal(() => parsePolicyRules(value))).toContain(message)
  })
})

describe('the annotations that are read', () => {
  test('are kube2iam’s and kiam’s unless settings say otherwise', () => {
    expect(readAnnotations({})).toEqual({
      pod: ['iam.amazonaws.com/role', 'iam.amazonaws.com/external-id', 'iam.amazonaws.com/session-name'],
      namespace: [
        'iam.amazonaws.com/default-role',
        'iam.amazonaws.com/allowed-roles',
        'iam.amazonaws.com/permitted',
      ],
      serviceAccount: [],
    })
  })

  test('follow the settings', () => {
    const settings = {
      annotations: {
        role: 'r',
        externalId: undefined,
        sessionTags: 't',
        serviceAccountRole: 's',
        permitted: undefined,
      },
    }
    expect(readAnnotations(settings)).toEqual({
      pod: ['r', 'iam.amazonaws.com/session-name', 't'],
      namespace: ['iam.amazonaws.com/default-role', 'iam.amazonaws.com/allowed-roles'],
      serviceAccount: ['s'],
    })
    expect(annotationKeys(settings).allowedRoles).toBe('iam.amazonaws.com/allowed-roles')
  })
})
