import {
  type NamespaceRecord,
  type PodIdentity,
  parseBaseArn,
  parseRoleArn,
  type ServiceAccountRecord,
} from '@kube2iam-ts/core'
import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import type { Decision, DecisionInput } from './decision.ts'
import { createPolicy } from './policy.ts'
import type { PolicySettings } from './settings.ts'

const base = parseBaseArn('arn:aws:iam::123456789012:role/')
const app = 'arn:aws:iam::123456789012:role/app'

const key = {
  role: 'iam.amazonaws.com/role',
  defaultRole: 'iam.amazonaws.com/default-role',
  allowedRoles: 'iam.amazonaws.com/allowed-roles',
  permitted: 'iam.amazonaws.com/permitted',
}
const annotated = (role: string): PodIdentity => aPod({ annotations: { [key.role]: role } })
const namespaced = (annotations: Record<string, string>): NamespaceRecord => aNamespace({ annotations })
const plain = aPod()

function decide(settings: PolicySettings, input: Partial<DecisionInput>): Decision {
  return createPolicy({ base, ...settings }).decide({
    pod: annotated('app'),
    namespace: aNamespace(),
    serviceAccount: undefined,
    requested: undefined,
    ...input,
  })
}

describe('the role of a pod', () => {
  test('is what its annotation names: a name, a path and name, or an ARN of any account', () => {
    expect(decide({}, { pod: annotated('app') })).toMatchObject({
      kind: 'granted',
      source: 'pod',
      role: { text: app },
    })
    expect(decide({}, { pod: annotated('team/app') })).toMatchObject({
      role: { path: '/team/', name: 'app' },
    })
    const elsewhere = 'arn:aws:iam::999999999999:role/app'
    expect(decide({}, { pod: annotated(elsewhere) })).toMatchObject({ role: { text: elsewhere } })
    expect(decide({ base: undefined }, { pod: annotated(elsewhere) })).toMatchObject({ kind: 'granted' })
  })

  test('is read from the annotation that settings name', () => {
    const pod = aPod({ annotations: { 'example.com/role': 'app', [key.role]: 'other' } })
    expect(decide({ annotations: { role: 'example.com/role' } }, { pod })).toMatchObject({
      role: { text: app },
    })
  })

  test('falls back to the service account, then the namespace, then the cluster', () => {
    const account = (role?: string): ServiceAccountRecord => ({
      namespace: 'default',
      name: 'default',
      annotations: role === undefined ? {} : { [key.role]: role },
    })
    const settings: PolicySettings = { annotations: { serviceAccountRole: key.role }, defaultRole: 'cluster' }
    const all = {
      pod: plain,
      serviceAccount: account('sa'),
      namespace: namespaced({ [key.defaultRole]: 'ns' }),
    }
    expect(decide(settings, { ...all, pod: annotated('app') })).toMatchObject({
      source: 'pod',
      role: { name: 'app' },
    })
    expect(decide(settings, all)).toMatchObject({ source: 'service-account', role: { name: 'sa' } })
    expect(decide(settings, { ...all, serviceAccount: account() })).toMatchObject({
      source: 'namespace-default',
      role: { name: 'ns' },
    })
    expect(decide(settings, { pod: plain, serviceAccount: account() })).toMatchObject({
      source: 'default',
      role: { name: 'cluster' },
    })
    expect(decide({}, { pod: plain })).toMatchObject({ kind: 'denied', code: 'no-role', role: undefined })
  })

  test('is not taken from a service account unless settings say so', () => {
    const serviceAccount = { namespace: 'default', name: 'default', annotations: { [key.role]: 'sa' } }
    expect(decide({}, { pod: plain, serviceAccount })).toMatchObject({ code: 'no-role' })
  })

  test('an annotation that is wrong is not passed over for the next best', () => {
    const settings = { defaultRole: 'cluster' }
    expect(decide(settings, { pod: annotated('') })).toMatchObject({ code: 'annotation-empty' })
    expect(decide(settings, { pod: annotated('not a role') })).toMatchObject({ code: 'annotation-invalid' })
    expect(decide(settings, { pod: plain, namespace: namespaced({ [key.defaultRole]: '' }) })).toMatchObject({
      code: 'annotation-empty',
    })
    expect(
      decide({}, { pod: plain, namespace: namespaced({ [key.defaultRole]: 'arn:aws:iam::1:role/x' }) }),
    ).toMatchObject({
      code: 'annotation-invalid',
    })
  })

  test.each([
    ' app',
    'app\n',
    'arn:aws:iam::123456789012:user/app',
    'ARN:aws:iam::123456789012:role/app',
    'app/',
    '*',
  ])('is not %j', (text) => {
    expect(decide({}, { pod: annotated(text) })).toMatchObject({
      kind: 'denied',
      code: 'annotation-invalid',
      role: text.replace('\n', '\\u000a'),
    })
  })

  test('that is short needs a base ARN: denied without one, waiting while one is sought', () => {
    expect(decide({ base: undefined }, {})).toMatchObject({
      kind: 'denied',
      code: 'base-arn-missing',
      role: 'app',
    })
    expect(decide({ base: undefined, basePending: true }, {})).toEqual({ kind: 'wait', for: 'base-arn' })
    expect(decide({ base: undefined, basePending: true }, { pod: annotated(app) })).toMatchObject({
      kind: 'granted',
    })
  })

  test('that is no role at all is not waited for', () => {
    const pod = annotated('a b')
    expect(decide({ base: undefined, basePending: true }, { pod })).toMatchObject({
      code: 'annotation-invalid',
    })
    expect(decide({ base: undefined }, { pod })).toMatchObject({ code: 'annotation-invalid' })
  })

  test('waits for what could name it, and only for that', () => {
    const unknown = { namespace: undefined, serviceAccount: undefined }
    expect(decide({}, { ...unknown })).toMatchObject({ kind: 'granted' })
    expect(decide({}, { ...unknown, pod: plain })).toEqual({ kind: 'wait', for: 'namespace' })
    expect(decide({ annotations: { namespaceRole: undefined } }, { ...unknown, pod: plain })).toMatchObject({
      code: 'no-role',
    })
    const watched = { annotations: { serviceAccountRole: key.role } }
    expect(decide(watched, { ...unknown, pod: plain })).toEqual({ kind: 'wait', for: 'service-account' })
    expect(decide({ defaultRolePending: true }, { pod: plain })).toEqual({
      kind: 'wait',
      for: 'default-role',
    })
    expect(decide({ defaultRolePending: true }, {})).toMatchObject({ kind: 'granted' })
    expect(decide({ defaultRolePending: true, defaultRole: 'set' }, { pod: plain })).toMatchObject({
      role: { name: 'set' },
    })
  })
})

describe('a host-network pod', () => {
  const pod = aPod({ hostNetwork: true, annotations: { [key.role]: 'app' } })

  test('is not told by an address that it shares with its node', () => {
    expect(decide({}, { pod })).toMatchObject({ kind: 'denied', code: 'host-network' })
    expect(decide({}, { pod, identifiedBy: 'address' })).toMatchObject({ code: 'host-network' })
    expect(decide({ defaultRole: 'cluster' }, { pod: aPod({ hostNetwork: true }) })).toMatchObject({
      code: 'host-network',
    })
  })

  test('is told by a token', () => {
    expect(decide({}, { pod, identifiedBy: 'token' })).toMatchObject({ kind: 'granted', role: { text: app } })
  })
})

describe('the role that a request names', () => {
  const pod = annotated('team/app')

  test.each(['app', 'team/app', '/team/app', 'arn:aws:iam::123456789012:role/team/app'])(
    '%s is the pod’s own',
    (requested) => {
      expect(decide({}, { pod, requested })).toMatchObject({ kind: 'granted', role: { name: 'app' } })
    },
  )

  test.each([
    '',
    'admin',
    'ap',
    'app2',
    'App',
    'other/app',
    'team',
    '/app',
    'app/',
    'arn:aws:iam::999999999999:role/team/app',
  ])('%j is not', (requested) => {
    expect(decide({}, { pod, requested })).toMatchObject({ kind: 'denied', code: 'role-mismatch' })
  })

  test('may be written as the annotation writes it, below the base ARN’s path', () => {
    const deep = parseBaseArn('arn:aws:iam::123456789012:role/k8s/')
    expect(decide({ base: deep }, { pod, requested: 'team/app' })).toMatchObject({ kind: 'granted' })
    expect(decide({ base: deep }, { pod, requested: 'k8s/team/app' })).toMatchObject({ kind: 'granted' })
  })

  test('is compared without a base ARN too', () => {
    const full = annotated('arn:aws:iam::123456789012:role/team/app')
    expect(decide({ base: undefined }, { pod: full, requested: '/team/app' })).toMatchObject({
      kind: 'granted',
    })
    expect(decide({ base: undefined }, { pod: full, requested: 'admin' })).toMatchObject({
      code: 'role-mismatch',
    })
  })

  test('is refused before anything has to be waited for', () => {
    const settings = { namespaceRestrictions: 'enforce' } as const
    expect(decide(settings, { requested: 'admin', namespace: undefined })).toMatchObject({
      code: 'role-mismatch',
    })
  })
})

describe('namespace restrictions', () => {
  const enforce = { namespaceRestrictions: 'enforce' } as const
  const under = (annotations: Record<string, string>, pod = annotated('app')) =>
    decide(enforce, { namespace: namespaced(annotations), pod })

  test('are off unless switched on', () => {
    expect(decide({}, { namespace: namespaced({ [key.allowedRoles]: '[]' }) })).toMatchObject({
      kind: 'granted',
      wouldDeny: [],
    })
  })

  test.each([
    ['["app"]', 'granted'],
    ['["a*"]', 'granted'],
    ['["other", "app"]', 'granted'],
    ['["arn:aws:iam::123456789012:role/app"]', 'granted'],
    ['["arn:aws:iam::123456789012:role/*"]', 'granted'],
    [' ["app"]\n', 'granted'],
    ['["other"]', 'namespace-denied'],
    ['["ap"]', 'namespace-denied'],
    ['["app|admin"]', 'namespace-denied'],
    ['[]', 'namespace-denied'],
    ['', 'namespace-annotation-invalid'],
    ['app', 'namespace-annotation-invalid'],
    ['"app"', 'namespace-annotation-invalid'],
    ['null', 'namespace-annotation-invalid'],
    ['{"0":"app"}', 'namespace-annotation-invalid'],
    ['["app", 5]', 'namespace-annotation-invalid'],
    ['["app", null]', 'namespace-annotation-invalid'],
    ['["app", ""]', 'namespace-annotation-invalid'],
    ['["app", "arn:*"]', 'namespace-annotation-invalid'],
    ['["app",]', 'namespace-annotation-invalid'],
  ])('allowed-roles %j: %s', (value, outcome) => {
    expect(under({ [key.allowedRoles]: value })).toMatchObject(
      outcome === 'granted' ? { kind: 'granted' } : { kind: 'denied', code: outcome, role: app },
    )
  })

  test('a namespace without annotation allows no role', () => {
    expect(under({})).toMatchObject({ code: 'namespace-denied' })
  })

  test('a role of another account must be named with its account', () => {
    const pod = annotated('arn:aws:iam::999999999999:role/app')
    expect(under({ [key.allowedRoles]: '["*"]' }, pod)).toMatchObject({ code: 'namespace-denied' })
    expect(under({ [key.allowedRoles]: '["arn:aws:iam::999999999999:role/*"]' }, pod)).toMatchObject({
      kind: 'granted',
    })
  })

  test('a namespace that is not known yet is neither permission nor refusal', () => {
    for (const mode of ['audit', 'enforce'] as const) {
      expect(decide({ namespaceRestrictions: mode }, { namespace: undefined })).toEqual({
        kind: 'wait',
        for: 'namespace',
      })
    }
  })

  test('exempt the default role of the cluster, however it was named, and no other', () => {
    const settings = { ...enforce, defaultRole: 'fallback' }
    expect(decide(settings, { pod: plain })).toMatchObject({ kind: 'granted', source: 'default' })
    expect(decide(settings, { pod: annotated('fallback') })).toMatchObject({ kind: 'granted', source: 'pod' })
    expect(decide(settings, { pod: annotated('app') })).toMatchObject({ code: 'namespace-denied' })
  })

  test('hold for the default role of the namespace', () => {
    const role = { [key.defaultRole]: 'app' }
    expect(under({ ...role, [key.allowedRoles]: '["other"]' }, plain)).toMatchObject({
      code: 'namespace-denied',
    })
    expect(under({ ...role, [key.allowedRoles]: '["app"]' }, plain)).toMatchObject({ kind: 'granted' })
  })

  test('in audit mode grant, and report what enforce would deny', () => {
    const audit = { namespaceRestrictions: 'audit' } as const
    expect(decide(audit, { namespace: namespaced({ [key.allowedRoles]: '["other"]' }) })).toMatchObject({
      kind: 'granted',
      wouldDeny: [{ code: 'namespace-denied', role: app }],
    })
    expect(decide(audit, { namespace: namespaced({ [key.allowedRoles]: 'rubbish' }) })).toMatchObject({
      kind: 'granted',
      wouldDeny: [{ code: 'namespace-annotation-invalid' }],
    })
    expect(decide(audit, { namespace: namespaced({ [key.allowedRoles]: '["app"]' }) })).toMatchObject({
      wouldDeny: [],
    })
  })

  test('short patterns wait for the base ARN while it is sought, and match nothing without one', () => {
    const pod = annotated(app)
    const short = { pod, namespace: namespaced({ [key.allowedRoles]: '["*"]' }) }
    const full = { pod, namespace: namespaced({ [key.allowedRoles]: '["*", "arn:aws:iam::*:role/app"]' }) }
    const pending = { ...enforce, base: undefined, basePending: true }
    const missing = { ...enforce, base: undefined }
    expect(decide(pending, short)).toEqual({ kind: 'wait', for: 'base-arn' })
    expect(decide(pending, full)).toMatchObject({ kind: 'granted' })
    expect(decide(missing, short)).toMatchObject({ code: 'namespace-denied' })
    expect(decide(missing, full)).toMatchObject({ kind: 'granted' })
    const other = { pod, namespace: namespaced({ [key.allowedRoles]: '["arn:aws:iam::*:role/other"]' }) }
    expect(decide(pending, other)).toMatchObject({ code: 'namespace-denied' })
  })
})

describe('restrictions written as regular expressions', () => {
  const settings = { base, namespaceRestrictions: 'enforce', namespaceRestrictionFormat: 'regexp' } as const
  const input = (annotations: Record<string, string>, role = 'app'): DecisionInput => ({
    pod: annotated(role),
    namespace: namespaced(annotations),
    serviceAccount: undefined,
    requested: undefined,
  })

  test('wait for their engine, which begins to load by itself', async () => {
    const policy = createPolicy(settings)
    const asked = input({ [key.allowedRoles]: '["app"]' })
    expect(policy.decide(asked)).toEqual({ kind: 'wait', for: 'pattern-engine' })
    await policy.prepare()
    expect(policy.decide(asked)).toMatchObject({ kind: 'granted' })
  })

  test('of kube2iam and of kiam are anchored, grouped and mean this account', async () => {
    const policy = createPolicy(settings)
    await policy.prepare()
    const elsewhere = 'arn:aws:iam::999999999999:role/admin'
    for (const [annotation, dress] of [
      [key.allowedRoles, (source: string) => JSON.stringify([source])],
      [key.permitted, (source: string) => source],
    ] as const) {
      const code = (source: string, role: string) => {
        const decision = policy.decide(input({ [annotation]: dress(source) }, role))
        return decision.kind === 'denied' ? decision.code : decision.kind
      }
      expect(code('app', 'app')).toBe('granted')
      expect(code('app', 'app-admin')).toBe('namespace-denied')
      expect(code('app|admin', 'admin')).toBe('granted')
      expect(code('app|admin', 'app-admin')).toBe('namespace-denied')
      expect(code('app|admin', elsewhere)).toBe('namespace-denied')
      expect(code('.*', 'team/app')).toBe('granted')
      expect(code('.*', elsewhere)).toBe('namespace-denied')
      expect(code('arn:aws:iam::9+:role/.*', elsewhere)).toBe('granted')
      expect(code('(', 'app')).toBe('namespace-annotation-invalid')
    }
  })

  test('kiam’s annotation counts beside kube2iam’s, whatever format that has: both must allow', async () => {
    const policy = createPolicy({ ...settings, namespaceRestrictionFormat: 'glob' })
    const both = (allowed: string, permitted: string) =>
      policy.decide(input({ [key.allowedRoles]: allowed, [key.permitted]: permitted }))
    expect(both('["a*"]', 'a.+')).toEqual({ kind: 'wait', for: 'pattern-engine' })
    await policy.prepare()
    expect(both('["a*"]', 'a.+')).toMatchObject({ kind: 'granted' })
    expect(both('["a*"]', 'b.*')).toMatchObject({ code: 'namespace-denied' })
    expect(both('["b*"]', 'a.+')).toMatchObject({ code: 'namespace-denied' })
    expect(policy.decide(input({ [key.permitted]: 'app' }))).toMatchObject({ kind: 'granted' })
    expect(policy.decide(input({ [key.permitted]: '' }))).toMatchObject({
      code: 'namespace-annotation-invalid',
    })
  })

  test('that are slow together allow nothing, and the denial says why', async () => {
    const policy = createPolicy(settings)
    await policy.prepare()
    const slow = Array.from({ length: 1000 }, (_, index) => `([a-z]*?/?){150}b${index}`)
    const asked = input({ [key.allowedRoles]: JSON.stringify(['app', ...slow]) })
    expect(policy.decide(asked)).toMatchObject({
      kind: 'denied',
      code: 'namespace-annotation-invalid',
      message: expect.stringContaining('too complex together'),
    })
  })

  test('kiam’s annotation can be switched off', () => {
    const policy = createPolicy({
      ...settings,
      namespaceRestrictionFormat: 'glob',
      annotations: { permitted: undefined },
    })
    expect(policy.decide(input({ [key.permitted]: '.*' }))).toMatchObject({ code: 'namespace-denied' })
  })
})

describe('rules of the configuration file', () => {
  const rules: PolicySettings['rules'] = [
    { name: 'payments', namespaces: ['payments', 'payments-*'], allowedRoles: ['payments/*'] },
    { name: 'builders', serviceAccounts: ['build-*'], allowedRoles: ['*/build'] },
  ]
  const pod = (namespace: string, serviceAccount: string, role: string) =>
    aPod({ namespace, serviceAccount, annotations: { [key.role]: role } })

  test.each([
    ['payments', 'default', 'payments/api', 'granted'],
    ['payments', 'default', 'web/api', 'rule-denied'],
    ['payments-eu', 'default', 'web/api', 'rule-denied'],
    ['web', 'default', 'web/api', 'granted'],
    ['web', 'build-1', 'web/api', 'rule-denied'],
    ['web', 'build-1', 'web/build', 'granted'],
    ['payments', 'build-1', 'payments/api', 'rule-denied'],
    ['payments', 'build-1', 'payments/build', 'granted'],
  ])('namespace %s, service account %s, role %s: %s', (namespace, serviceAccount, role, outcome) => {
    expect(decide({ rules }, { pod: pod(namespace, serviceAccount, role) })).toMatchObject(
      outcome === 'granted' ? { kind: 'granted' } : { kind: 'denied', code: outcome },
    )
  })

  test('hold beside the annotation, and also for the default role', () => {
    const settings = { rules, namespaceRestrictions: 'enforce', defaultRole: 'fallback' } as const
    const namespace = aNamespace({
      name: 'payments',
      annotations: { [key.allowedRoles]: '["web/*", "payments/a*"]' },
    })
    expect(decide(settings, { namespace, pod: pod('payments', 'default', 'web/api') })).toMatchObject({
      code: 'rule-denied',
    })
    expect(decide(settings, { namespace, pod: pod('payments', 'default', 'payments/b') })).toMatchObject({
      code: 'namespace-denied',
    })
    expect(decide(settings, { namespace, pod: pod('payments', 'default', 'payments/a') })).toMatchObject({
      kind: 'granted',
    })
    expect(decide(settings, { namespace, pod: aPod({ namespace: 'payments' }) })).toMatchObject({
      code: 'rule-denied',
    })
  })

  test('in audit mode grant and report', () => {
    const audited: PolicySettings['rules'] = [
      { name: 'none', allowedRoles: [], mode: 'audit' },
      { name: 'ids', requireExternalId: true, mode: 'audit' },
    ]
    expect(decide({ rules: audited }, {})).toMatchObject({
      kind: 'granted',
      wouldDeny: [{ code: 'rule-denied' }, { code: 'external-id-required' }],
    })
  })

  test('in audit mode shape nothing, and say what they would do', () => {
    const audited: NonNullable<PolicySettings['rules']>[number] = {
      name: 'later',
      mode: 'audit',
      externalId: 'audited',
      maxDurationSeconds: 900,
      policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'],
    }
    const plainly = decide({}, {})
    if (plainly.kind !== 'granted') throw new Error(plainly.kind)
    const decision = decide({ rules: [audited] }, {})
    expect(decision).toMatchObject({ grant: plainly.grant, wouldDeny: [] })
    expect(decision).toMatchObject({
      warnings: [
        'policy rule "later" would prescribe an external ID if it were enforced',
        'policy rule "later" would cut the duration to 900 seconds if it were enforced',
        'policy rule "later" would add session policies if it were enforced',
      ],
    })
    expect(JSON.stringify(decision)).not.toContain('audited')
  })

  test('in audit mode change nothing that the enforced ones say', () => {
    const enforced = {
      name: 'now',
      externalId: 'now-id',
      maxDurationSeconds: 1_800,
      policyArns: ['arn:aws:iam::aws:policy/A'],
    }
    const audited = {
      name: 'later',
      mode: 'audit' as const,
      externalId: 'later-id',
      maxDurationSeconds: 1_000,
      policyArns: Array.from({ length: 10 }, (_, index) => `arn:aws:iam::aws:policy/B${index}`),
    }
    for (const rules of [
      [enforced, audited],
      [audited, enforced],
    ]) {
      expect(decide({ rules }, {})).toMatchObject({
        grant: { externalId: 'now-id', durationSeconds: 1_800, policyArns: enforced.policyArns },
        wouldDeny: [
          {
            code: 'external-id-required',
            message: expect.stringMatching(/rule "later".* than policy rule "now"/),
          },
          { code: 'session-invalid', message: expect.stringContaining('11 session policies') },
        ],
      })
    }
  })

  test('in audit mode say nothing of what is so already', () => {
    const audited = { mode: 'audit' as const, externalId: 'same', maxDurationSeconds: 3_600, policyArns: [] }
    const pod = aPod({ annotations: { [key.role]: 'app', 'iam.amazonaws.com/external-id': 'same' } })
    for (const input of [{ pod }, {}]) {
      const rules = [audited, ...(input.pod === undefined ? [{ externalId: 'same' }] : [])]
      expect(decide({ rules }, input)).toMatchObject({ warnings: [], wouldDeny: [] })
    }
  })

  test('in audit mode do not give what an enforced one requires', () => {
    const rules = [{ externalId: 'later', mode: 'audit' as const }, { requireExternalId: true }]
    for (const order of [rules, rules.toReversed()]) {
      expect(decide({ rules: order }, {})).toMatchObject({
        code: 'external-id-required',
        message: expect.stringContaining('add annotation'),
      })
    }
  })

  test('short patterns wait for the base ARN', () => {
    const settings = { rules: [{ allowedRoles: ['*'] }], base: undefined, basePending: true }
    expect(decide(settings, { pod: annotated(app) })).toEqual({ kind: 'wait', for: 'base-arn' })
  })
})

describe('an external ID', () => {
  const stating = (externalId: string) =>
    aPod({ annotations: { [key.role]: 'app', 'iam.amazonaws.com/external-id': externalId } })

  test('comes from the pod’s annotation', () => {
    expect(decide({}, { pod: stating('customer:42/a') })).toMatchObject({
      grant: { externalId: 'customer:42/a' },
    })
    expect(decide({}, {})).toMatchObject({ grant: { externalId: undefined } })
    expect(decide({}, { pod: stating('') })).toMatchObject({ grant: { externalId: undefined } })
  })

  test.each(['x', 'two words', 'a\n', 'é!', 'x'.repeat(1225)])('is not %j', (text) => {
    expect(decide({}, { pod: stating(text) })).toMatchObject({ code: 'external-id-invalid' })
  })

  test('may be required or prescribed by a rule', () => {
    const required = { rules: [{ requireExternalId: true }] }
    expect(decide(required, {})).toMatchObject({ code: 'external-id-required' })
    expect(decide(required, { pod: stating('any') })).toMatchObject({ grant: { externalId: 'any' } })
    const prescribed = { rules: [{ externalId: 'ours' }, { requireExternalId: true }] }
    expect(decide(prescribed, {})).toMatchObject({ grant: { externalId: 'ours' } })
    expect(decide(prescribed, { pod: stating('ours') })).toMatchObject({ grant: { externalId: 'ours' } })
    expect(decide(prescribed, { pod: stating('theirs') })).toMatchObject({ code: 'external-id-required' })
  })

  test('is what all rules together say, in whatever order they stand', () => {
    const rules = [{ requireExternalId: true }, { externalId: 'ours' }, { maxDurationSeconds: 900 }]
    for (const order of [rules, rules.toReversed()]) {
      expect(decide({ rules: order }, {})).toMatchObject({ grant: { externalId: 'ours' } })
      expect(decide({ rules: order }, { pod: stating('theirs') })).toMatchObject({
        code: 'external-id-required',
        message: expect.stringContaining('remove annotation iam.amazonaws.com/external-id'),
      })
    }
  })

  test('cannot be right where two rules contradict each other, and the pod is not told to change anything', () => {
    const rules = [
      { name: 'one', externalId: 'ours' },
      { name: 'other', externalId: 'theirs' },
    ]
    for (const pod of [annotated('app'), stating('ours'), stating('theirs'), stating('neither')]) {
      expect(decide({ rules }, { pod })).toMatchObject({
        code: 'external-id-required',
        message: expect.stringMatching(
          /rule "other".* than policy rule "one".*ask whoever runs the cluster$/,
        ),
      })
    }
  })

  test('is told to nobody by a denial that is about another one', () => {
    const decision = decide({ rules: [{ externalId: 'ours-only' }] }, { pod: stating('theirs-only') })
    expect(JSON.stringify(decision)).not.toMatch(/ours-only|theirs-only/)
  })
})

describe('every decision', () => {
  test('names the pod in its sentence, and shows foreign text quoted and cut', () => {
    const decision = decide({}, { pod: annotated(`x\n${'y'.repeat(10_000)}`) })
    if (decision.kind !== 'denied') throw new Error(decision.kind)
    expect(decision.message).toMatch(/^pod default\/web-0: /)
    expect(decision.message).not.toContain('\n')
    expect(decision.message.length).toBeLessThan(600)
    expect(decision.role?.length).toBeLessThan(210)
    const listing = namespaced({ [key.allowedRoles]: JSON.stringify(['y'.repeat(4000)]) })
    const denied = decide({ namespaceRestrictions: 'enforce' }, { namespace: listing })
    expect(denied.kind === 'denied' && denied.message.length).toBeLessThan(600)
  })

  test('is remembered while the records are the same, and made anew when one changes', () => {
    const policy = createPolicy({ base, namespaceRestrictions: 'enforce' })
    const pod = annotated('app')
    const namespace = namespaced({ [key.allowedRoles]: '["app"]' })
    const input = { pod, namespace, serviceAccount: undefined, requested: undefined }
    const first = policy.decide(input)
    expect(first).toMatchObject({ kind: 'granted' })
    expect(policy.decide({ ...input, requested: 'app' })).toBe(first)
    expect(policy.decide({ ...input, requested: 'admin' })).toMatchObject({ code: 'role-mismatch' })
    expect(policy.decide({ ...input, namespace: namespaced({ [key.allowedRoles]: '[]' }) })).toMatchObject({
      code: 'namespace-denied',
    })
    expect(policy.decide({ ...input, namespace: undefined })).toEqual({ kind: 'wait', for: 'namespace' })
    expect(policy.decide(input)).toMatchObject({ kind: 'granted' })
    expect(policy.decide({ ...input, pod: annotated('other') })).toMatchObject({ code: 'namespace-denied' })
    const watching = createPolicy({ base, annotations: { serviceAccountRole: key.role } })
    const account = (role: string) => ({
      namespace: 'default',
      name: 'default',
      annotations: { [key.role]: role },
    })
    expect(watching.decide({ ...input, pod: plain, serviceAccount: account('one') })).toMatchObject({
      role: { name: 'one' },
    })
    expect(watching.decide({ ...input, pod: plain, serviceAccount: account('two') })).toMatchObject({
      role: { name: 'two' },
    })
    const host = aPod({ hostNetwork: true, annotations: { [key.role]: 'app' } })
    expect(policy.decide({ ...input, pod: host, identifiedBy: 'token' })).toMatchObject({ kind: 'granted' })
    expect(policy.decide({ ...input, pod: host })).toMatchObject({ code: 'host-network' })
  })

  test('is the one that explain tells', () => {
    const policy = createPolicy({ base, namespaceRestrictions: 'enforce' })
    for (const input of [
      { pod: annotated('app'), namespace: namespaced({ [key.allowedRoles]: '["app"]' }) },
      { pod: annotated('app'), namespace: aNamespace() },
      { pod: annotated('app'), namespace: undefined },
      { pod: plain, namespace: aNamespace() },
    ]) {
      const whole = { ...input, serviceAccount: undefined, requested: undefined }
      expect(policy.explain(whole).decision).toEqual(policy.decide(whole))
    }
  })

  test('grants the role of the ARN that was parsed, with nothing left over', () => {
    const decision = decide({}, {})
    expect(decision).toEqual({
      kind: 'granted',
      source: 'pod',
      role: parseRoleArn(app),
      wouldDeny: [],
      warnings: [],
      grant: {
        role: parseRoleArn(app),
        sessionName: 'default.web-0',
        durationSeconds: 3600,
        externalId: undefined,
        sourceIdentity: undefined,
        tags: {},
        transitiveTagKeys: [],
        policyArns: [],
        policy: undefined,
        region: undefined,
      },
    })
  })
})

describe('what somebody else wrote', () => {
  // A terminal acts upon the first, a reader is misled by the second, a log line ends at the third.
  const nasty = 'x\u009b2K\u202ey\nz'
  const long = 'k'.repeat(100_000)
  const tagsKey = 'example.com/tags'
  const tagged = (tags: object): PodIdentity =>
    aPod({ annotations: { [key.role]: 'app', [tagsKey]: JSON.stringify(tags) } })

  test.each<[string, PolicySettings, Partial<DecisionInput>]>([
    ['as a role', {}, { pod: annotated(nasty) }],
    ['as a long role', {}, { pod: annotated(long) }],
    ['as a requested role', {}, { requested: nasty }],
    [
      'in the annotation of a namespace',
      { namespaceRestrictions: 'enforce' },
      { namespace: namespaced({ [key.allowedRoles]: JSON.stringify([nasty]) }) },
    ],
    ['as a tag of a wrong kind', { annotations: { sessionTags: tagsKey } }, { pod: tagged({ [nasty]: 1 }) }],
    [
      'as a long reserved tag',
      { annotations: { sessionTags: tagsKey } },
      { pod: tagged({ [`eks-${long}`]: '1' }) },
    ],
    [
      'as an external ID',
      {},
      { pod: aPod({ annotations: { [key.role]: 'app', 'iam.amazonaws.com/external-id': nasty } }) },
    ],
  ])(
    'is shown without moving, hiding or outgrowing the sentence around it: %s',
    (_where, settings, input) => {
      const decision = decide(settings, input)
      if (decision.kind !== 'denied') throw new Error(decision.kind)
      expect(decision.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      expect(decision.role ?? '').not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      expect(decision.message.length).toBeLessThan(1_000)
    },
  )
})
