import { parseBaseArn } from '@kube2iam-ts/core'
import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createPolicy } from './policy.ts'
import { renderExplanation } from './render-explanation.ts'
import type { PolicySettings } from './settings.ts'

const role = 'iam.amazonaws.com/role'

function explained(
  settings: PolicySettings,
  annotations: Record<string, string>,
  namespace: string,
  requested?: string,
) {
  const policy = createPolicy({ base: parseBaseArn('arn:aws:iam::123456789012:role/'), ...settings })
  return renderExplanation(
    policy.explain({
      pod: aPod({ annotations }),
      namespace: aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': namespace } }),
      serviceAccount: undefined,
      requested,
    }),
  )
}

test('a grant, with every rule that was looked at', () => {
  const settings: PolicySettings = {
    namespaceRestrictions: 'enforce',
    rules: [{ name: 'everyone', allowedRoles: ['*'] }],
  }
  expect(explained(settings, { [role]: 'app' }, '["a*"]', 'app')).toBe(
    `pod default/web-0 asking for "app": granted arn:aws:iam::123456789012:role/app (from pod)
  + host network            it has an address of its own
  = pod annotation          annotation iam.amazonaws.com/role is "app"
  + role syntax             "app" means arn:aws:iam::123456789012:role/app
  + requested role          it is the role of the pod
  + namespace restrictions  annotation iam.amazonaws.com/allowed-roles allows it by "a*"
  + everyone                it allows the role by "*"
  - external ID             none
  - session tags            none
  = session name            default.web-0
  = session duration        3600 seconds
`,
  )
})

test('a denial, with its code, its rule and the remedy', () => {
  const text = explained(
    { namespaceRestrictions: 'enforce' },
    { [role]: 'arn:aws:iam::999999999999:role/app' },
    '["*"]',
  )
  expect(text).toContain('pod default/web-0: denied (namespace-denied)\n')
  expect(text).toContain('  x namespace restrictions  ')
  expect(text).toContain('its patterns without arn: mean roles under arn:aws:iam::123456789012:role/ only')
})

test('what audit mode lets pass, and what was changed', () => {
  const settings: PolicySettings = { namespaceRestrictions: 'audit', session: { durationSeconds: 7200 } }
  const text = explained(settings, { [role]: 'app' }, '[]')
  expect(text).toContain('  ! namespace restrictions  ')
  expect(text).toContain('  audit: enforce would deny (namespace-denied): pod default/web-0: ')
  expect(text).toContain('  warning: the duration was cut from 7200 to 3600 seconds')
})

test('what is missing', () => {
  const text = explained({ base: undefined, basePending: true }, { [role]: 'app' }, '[]')
  expect(text).toContain('pod default/web-0: undecided, waiting for the base-arn\n')
  expect(text).toContain('  ? role syntax     ')
})

test('an external ID is not shown', () => {
  const text = explained({}, { [role]: 'app', 'iam.amazonaws.com/external-id': 'between-us' }, '[]')
  expect(text).toContain('one is used')
  expect(text).not.toContain('between-us')
})
