import { type Grant, grantKey, type PodIdentity, parseBaseArn } from '@kube2iam-ts/core'
import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import type { Decision } from './decision.ts'
import { createPolicy } from './policy.ts'
import type { PolicySettings, SessionScope, SessionSettings } from './settings.ts'

const role = 'iam.amazonaws.com/role'
const hint = 'iam.amazonaws.com/session-name'
const tagsKey = 'example.com/session-tags'

function decide(session: SessionSettings, pod: PodIdentity, settings: PolicySettings = {}): Decision {
  return createPolicy({ base: parseBaseArn('arn:aws:iam::123456789012:role/'), session, ...settings }).decide(
    {
      pod,
      namespace: aNamespace(),
      serviceAccount: undefined,
      requested: undefined,
    },
  )
}
function grantOf(session: SessionSettings, pod: PodIdentity, settings: PolicySettings = {}): Grant {
  const decision = decide(session, pod, settings)
  if (decision.kind !== 'granted') throw new Error(JSON.stringify(decision))
  return decision.grant
}
const aPodWith = (annotations: Record<string, string>) =>
  aPod({ annotations: { [role]: 'app', ...annotations } })
const pod = aPodWith({})

describe('who shares a session', () => {
  const annotations = { [role]: 'app' }
  const pods = [
    aPod({ namespace: 'a', serviceAccount: 'x', name: 'one', annotations }),
    aPod({ namespace: 'a', serviceAccount: 'x', name: 'two', annotations }),
    aPod({ namespace: 'a', serviceAccount: 'y', name: 'three', annotations }),
    aPod({ namespace: 'b', serviceAccount: 'x', name: 'one', uid: 'other', annotations }),
  ]
  test.each<[SessionScope, sessions: number, names: string[]]>([
    ['pod', 4, ['a.one', 'a.two', 'a.three', 'b.one']],
    ['service-account', 3, ['a.x', 'a.x', 'a.y', 'b.x']],
    ['namespace', 2, ['namespace.a', 'namespace.a', 'namespace.a', 'namespace.b']],
    ['role', 1, ['kube2iam.app', 'kube2iam.app', 'kube2iam.app', 'kube2iam.app']],
  ])('scope %s', (scope, sessions, names) => {
    const grants = pods.map((one) => grantOf({ scope, tags: true, clusterName: 'prod' }, one))
    expect(grants.map(({ sessionName }) => sessionName)).toEqual(names)
    expect(new Set(grants.map(grantKey)).size).toBe(sessions)
  })
})

describe('session tags', () => {
  test('have the keys of EKS Pod Identity, and are off unless switched on', () => {
    const one = aPod({
      namespace: 'a',
      serviceAccount: 'x',
      name: 'n',
      uid: 'u',
      annotations: { [role]: 'app' },
    })
    expect(grantOf({ tags: true, clusterName: 'prod' }, one).tags).toEqual({
      'eks-cluster-name': 'prod',
      'kubernetes-namespace': 'a',
      'kubernetes-service-account': 'x',
      'kubernetes-pod-name': 'n',
      'kubernetes-pod-uid': 'u',
    })
    expect(grantOf({ clusterName: 'prod' }, one)).toMatchObject({ tags: {}, transitiveTagKeys: [] })
  })

  test('are passed on only if settings say so', () => {
    expect(grantOf({ tags: true }, pod).transitiveTagKeys).toEqual([])
    expect(grantOf({ tags: true, transitiveTags: true }, pod).transitiveTagKeys).toEqual([
      'kubernetes-namespace',
      'kubernetes-service-account',
      'kubernetes-pod-name',
      'kubernetes-pod-uid',
    ])
  })

  const settings = { annotations: { sessionTags: tagsKey } }

  test('may be added by the pod’s author where settings allow it, and are then never passed on', () => {
    const author = aPodWith({ [tagsKey]: '{"team":"payments","cost center":""}' })
    expect(grantOf({}, author, settings).tags).toEqual({ team: 'payments', 'cost center': '' })
    expect(grantOf({}, author).tags).toEqual({})
    const both = grantOf({ tags: true, transitiveTags: true }, author, settings)
    expect(both.tags).toMatchObject({ team: 'payments', 'kubernetes-pod-name': 'web-0' })
    expect(both.transitiveTagKeys).not.toContain('team')
  })

  const many = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v'])))

  test.each([
    ['more than 50', many(51)],
    ['a reserved key', '{"aws:x":"1"}'],
    ['a reserved key in capitals', '{"AWS:x":"1"}'],
    ['a value of 300 characters', JSON.stringify({ k: 'v'.repeat(300) })],
    ['a key of 129 characters', JSON.stringify({ ['k'.repeat(129)]: 'v' })],
    ['an empty key', '{"":"v"}'],
    ['a character that STS does not take', '{"k":"<"}'],
    ['a line break', '{"k":"a\\nb"}'],
    ['keys that differ in case only', '{"Team":"a","team":"b"}'],
    ['keys that differ in case only, the other way round', '{"team":"a","Team":"b"}'],
    ['a fact of the cluster', '{"kubernetes-namespace":"kube-system"}'],
    ['a fact in capitals', '{"Kubernetes-Pod-Name":"x"}'],
    ['a number', '{"k":5}'],
    ['a list', '["k"]'],
    ['null', 'null'],
    ['rubbish', 'k=v'],
  ])('%s: refused before STS is called', (_what, value) => {
    expect(decide({}, aPodWith({ [tagsKey]: value }), settings)).toMatchObject({
      kind: 'denied',
      code: 'session-invalid',
      message: expect.stringContaining(tagsKey),
    })
  })

  test('50 are taken, and not 46 beside the five facts', () => {
    expect(Object.keys(grantOf({}, aPodWith({ [tagsKey]: many(50) }), settings).tags)).toHaveLength(50)
    const facts = { tags: true, clusterName: 'prod' }
    expect(Object.keys(grantOf(facts, aPodWith({ [tagsKey]: many(45) }), settings).tags)).toHaveLength(50)
    expect(decide(facts, aPodWith({ [tagsKey]: many(46) }), settings)).toMatchObject({
      code: 'session-invalid',
    })
  })

  test('a key that JavaScript knows is a key like others', () => {
    expect(Object.entries(grantOf({}, aPodWith({ [tagsKey]: '{"__proto__":"x"}' }), settings).tags)).toEqual([
      ['__proto__', 'x'],
    ])
  })
})

describe('the session’s duration', () => {
  test('is cut to what STS grants where roles assume roles, with a warning', () => {
    const decision = decide({ durationSeconds: 7200 }, pod)
    expect(decision).toMatchObject({
      grant: { durationSeconds: 3600 },
      warnings: [expect.stringContaining('cut from 7200 to 3600 seconds')],
    })
    expect(decide({ durationSeconds: 7200, maxDurationSeconds: 43_200 }, pod)).toMatchObject({
      grant: { durationSeconds: 7200 },
      warnings: [],
    })
  })

  test('is the shortest that any rule allows', () => {
    const rules = [
      { maxDurationSeconds: 1800 },
      { maxDurationSeconds: 900, namespaces: ['default'] },
      { maxDurationSeconds: 1000 },
      { maxDurationSeconds: 901, namespaces: ['other'] },
    ]
    expect(grantOf({}, pod, { rules }).durationSeconds).toBe(900)
    expect(
      grantOf({ durationSeconds: 900 }, pod, { rules: [{ maxDurationSeconds: 1800 }] }).durationSeconds,
    ).toBe(900)
  })
})

describe('session policies', () => {
  const arn = (name: string) => `arn:aws:iam::aws:policy/${name}`

  test('are those of the settings and of the rules that look at the pod', () => {
    const rules = [{ policyArns: [arn('b'), arn('a')] }, { policyArns: [arn('c')], namespaces: ['other'] }]
    const session = { policyArns: [arn('a')], policy: '{"Version":"2012-10-17"}' }
    expect(grantOf(session, pod, { rules })).toMatchObject({
      policyArns: [arn('a'), arn('b')],
      policy: '{"Version":"2012-10-17"}',
    })
  })

  test('are refused where they add up to more than STS takes', () => {
    const rules = [0, 1, 2].map((group) => ({
      policyArns: Array.from({ length: 4 }, (_, index) => arn(`p${group}-${index}`)),
    }))
    expect(decide({}, pod, { rules })).toMatchObject({ code: 'session-invalid' })
  })
})

test('a source identity names what settings say', () => {
  expect(grantOf({ sourceIdentity: 'namespace' }, pod).sourceIdentity).toBe('namespace.default')
  expect(grantOf({ sourceIdentity: 'pod' }, aPodWith({ [hint]: 'x' })).sourceIdentity).toBe('default.web-0')
  expect(grantOf({}, pod).sourceIdentity).toBeUndefined()
})

test('the region is handed on', () => {
  expect(grantOf({ region: 'eu-west-1' }, pod).region).toBe('eu-west-1')
})

test('kiam’s session name is a suffix, in scope pod only, and a wish that had to be changed is told', () => {
  expect(grantOf({}, aPodWith({ [hint]: 'batch' })).sessionName).toBe('default.web-0@batch')
  expect(grantOf({ scope: 'namespace' }, aPodWith({ [hint]: 'batch' })).sessionName).toBe('namespace.default')
  expect(
    grantOf({}, aPodWith({ [hint]: 'batch' }), { annotations: { sessionName: undefined } }).sessionName,
  ).toBe('default.web-0')
  expect(decide({}, aPodWith({ [hint]: 'b/c' }))).toMatchObject({
    grant: { sessionName: 'default.web-0@b-c' },
    warnings: [expect.stringContaining('default.web-0@b-c')],
  })
})
