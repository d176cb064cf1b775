import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { parseBaseArn } from '@kube2iam-ts/core'
import { expect, test } from 'vitest'
import type { DecisionInput } from './decision.ts'
import { createPolicy } from './policy.ts'
import type { PolicySettings } from './settings.ts'

const base = parseBaseArn('arn:aws:iam::123456789012:role/')
const role = 'iam.amazonaws.com/role'
const allowedRoles = 'iam.amazonaws.com/allowed-roles'

function decide(settings: PolicySettings, input: Partial<DecisionInput>) {
  return createPolicy({ base, ...settings }).decide({
    pod: aPod({ annotations: { [role]: 'app' } }),
    namespace: aNamespace(),
    serviceAccount: undefined,
    requested: undefined,
    ...input,
  })
}

test('grants the role that the pod is annotated with', () => {
  expect(decide({}, {})).toMatchObject({
    kind: 'granted',
    source: 'pod',
    grant: {
      role: { text: 'arn:aws:iam::123456789012:role/app' },
      sessionName: 'default.web-0',
      durationSeconds: 3600,
    },
  })
})

test('refuses another role than the pod’s own', () => {
  expect(decide({}, { requested: 'admin' })).toMatchObject({ kind: 'denied', code: 'role-mismatch' })
})

test('refuses what the namespace does not list, and grants what it lists', () => {
  const settings = { namespaceRestrictions: 'enforce' } as const
  const listing = (value: string) => ({ namespace: aNamespace({ annotations: { [allowedRoles]: value } }) })
  expect(decide(settings, listing('["other"]'))).toMatchObject({ code: 'namespace-denied' })
  expect(decide(settings, listing('["a*"]'))).toMatchObject({ kind: 'granted' })
  expect(decide(settings, listing('["app", 5]'))).toMatchObject({ code: 'namespace-annotation-invalid' })
  expect(decide(settings, { namespace: undefined })).toEqual({ kind: 'wait', for: 'namespace' })
})
