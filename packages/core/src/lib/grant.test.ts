import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { aGrant } from './builders.ts'
import { type Grant, grantKey } from './grant.ts'
import { parseRoleArn } from './role-arn.ts'

const text = fc.string({ minLength: 1, maxLength: 12 })
const maybe = fc.option(text, { nil: undefined })
const fields: { [Field in keyof Grant]: fc.Arbitrary<Grant[Field]> } = {
  role: fc
    .tuple(
      fc.constantFrom('aws', 'aws-cn'),
      fc.constantFrom('123456789012', '999999999999'),
      fc.constantFrom('', 'team/'),
      fc.stringMatching(/^[ab]{1,2}$/),
    )
    .map(([partition, account, path, name]) =>
      parseRoleArn(`arn:${partition}:iam::${account}:role/${path}${name}`),
    ),
  sessionName: text,
  durationSeconds: fc.integer({ min: 900, max: 43_200 }),
  externalId: maybe,
  sourceIdentity: maybe,
  tags: fc.dictionary(fc.constantFrom('a', 'b', 'c'), text, { maxKeys: 3 }),
  transitiveTagKeys: fc.uniqueArray(text, { maxLength: 3 }),
  policyArns: fc.uniqueArray(text, { maxLength: 3 }),
  policy: maybe,
  region: maybe,
}
const grant: fc.Arbitrary<Grant> = fc.record(fields)
const names = Object.keys(fields) as (keyof Grant)[]
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => {
    if (Array.isArray(part)) return part.map(String).toSorted()
    if (typeof part !== 'object' || part === null) return part ?? null
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })

test.each(names)('grants that differ in nothing but %s have different keys', (name) => {
  fc.assert(
    fc.property(grant, fields[name], (one, value) => {
      fc.pre(canonical({ value }) !== canonical({ value: one[name] }))
      expect(grantKey({ ...one, [name]: value })).not.toBe(grantKey(one))
    }),
  )
})

test('grants have the same key exactly if they are the same', () => {
  fc.assert(
    fc.property(grant, grant, (one, other) => {
      expect(grantKey(one) === grantKey(other)).toBe(canonical(one) === canonical(other))
      expect(grantKey(structuredClone(one))).toBe(grantKey(one))
    }),
  )
})

test('the order of tags, tag keys and policies is not part of the session', () => {
  const one = aGrant({ tags: { a: '1', b: '2' }, transitiveTagKeys: ['a', 'b'], policyArns: ['p', 'q'] })
  const other = aGrant({ tags: { b: '2', a: '1' }, transitiveTagKeys: ['b', 'a'], policyArns: ['q', 'p'] })
  expect(grantKey(one)).toBe(grantKey(other))
})

test('text cannot be moved from one field into another', () => {
  const keys = [
    aGrant({ externalId: 'x', sourceIdentity: undefined }),
    aGrant({ externalId: undefined, sourceIdentity: 'x' }),
    aGrant({ policy: 'x' }),
    aGrant({ region: 'x' }),
    aGrant({ tags: { x: '' } }),
    aGrant({ transitiveTagKeys: ['x'] }),
    aGrant({ policyArns: ['x'] }),
    aGrant({ policyArns: ['x', 'y'] }),
    aGrant({ policyArns: ['x,y'] }),
    aGrant({ tags: { a: 'b', c: 'd' } }),
    aGrant({ tags: { a: 'd', c: 'b' } }),
    aGrant({ tags: { a: 'b,c', d: '' } }),
    aGrant({ externalId: 'null' }),
    aGrant(),
  ].map(grantKey)
  expect(new Set(keys).size).toBe(keys.length)
})

test('the key shows nothing of the grant', () => {
  expect(grantKey(aGrant({ externalId: 'shared-secret' }))).toMatch(/^[\w-]{43}$/)
})
