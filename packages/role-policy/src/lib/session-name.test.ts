import { parseRoleArn } from '@kube2iam-ts/core'
import { aPod } from '@kube2iam-ts/core/testing'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyPod, sessionNamesTellPodsApart } from '../../test/properties.ts'
import { sessionName } from './session-name.ts'
import type { SessionScope } from './settings.ts'

const role = parseRoleArn('arn:aws:iam::123456789012:role/team/app')
const named = (namespace: string, name: string, hint?: string) =>
  sessionName({ scope: 'pod', pod: aPod({ namespace, name }), role, hint })

test('names namespace and pod', () => {
  expect(named('payments', 'api-6b8f7c9d5-x2x4z')).toEqual({
    text: 'payments.api-6b8f7c9d5-x2x4z',
    changed: false,
  })
})

test('of exactly 64 characters is kept, and of 65 is cut and gets a digest', () => {
  const fits = named('a', 'b'.repeat(62))
  expect(fits).toEqual({ text: `a.${'b'.repeat(62)}`, changed: false })
  const cut = named('a', 'b'.repeat(63))
  expect(cut).toMatchObject({ changed: true, text: expect.stringMatching(/^a\.b+\+[\w-]{12}$/) })
  expect(cut.text).toHaveLength(64)
})

test('long names that differ at the end stay apart, and both parts stay readable', () => {
  const namespace = 'a-team-with-a-rather-long-name-in-its-own-namespace-for-tests-1'
  const one = named(namespace, `api-${'x'.repeat(240)}-1`)
  const two = named(namespace, `api-${'x'.repeat(240)}-2`)
  expect(one.text).not.toBe(two.text)
  expect(one.text).toMatch(/^a-team-with-a-rather\.api-x+\+/)
})

test('a short pod name leaves a long namespace more room', () => {
  const { text } = named('n'.repeat(63), 'web')
  expect(text).toMatch(/^n{47}\.web\+[\w-]{12}$/)
})

test('a pod cannot be named like what another pod’s long name was cut to', () => {
  const { text } = named('default', 'p'.repeat(100))
  // A Kubernetes name has no plus sign: RFC 1123 subdomain.
  expect(text).toMatch(/\+/)
})

test.each([
  ['other.pod', 'default.web-0@other.pod'],
  ['x@y', 'default.web-0@x@y'],
  ['a b/c', 'default.web-0@a-b-c'],
  ['', 'default.web-0'],
  ['é', 'default.web-0@-'],
  ['h'.repeat(100), `default.web-0@${'h'.repeat(50)}`],
])('a hint %j only follows the facts', (hint, expected) => {
  expect(named('default', 'web-0', hint).text).toBe(expected)
})

test('a hint that finds no room is left out', () => {
  expect(named('a', 'b'.repeat(62), 'hint')).toEqual({ text: `a.${'b'.repeat(62)}`, changed: true })
})

test('is legal and names pods apart, whatever they are called and wish for', () => {
  fc.assert(sessionNamesTellPodsApart, { numRuns: 1000 })
})

test('is legal in every scope, also for facts that no Kubernetes would give', () => {
  const anything = fc.string({ minLength: 1, maxLength: 100 })
  const strange = fc
    .record({ namespace: anything, name: anything, serviceAccount: anything })
    .map((names) => aPod(names))
  fc.assert(
    fc.property(
      fc.oneof(anyPod, strange),
      fc.constantFrom<SessionScope[]>('pod', 'service-account', 'namespace', 'role'),
      (pod, scope) => {
        expect(sessionName({ scope, pod, role }).text).toMatch(/^[\w+=,.@-]{2,64}$/)
      },
    ),
  )
})

test('facts that had to lose characters stay apart', () => {
  expect(named('a b', 'c').text).not.toBe(named('a-b', 'c').text)
  expect(named('a b', 'c').text).not.toBe(named('a/b', 'c').text)
})
