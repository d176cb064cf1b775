import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isCoded } from './errors.ts'
import {
  assumedRoleArn,
  baseArnOfInstanceProfile,
  isShortRoleName,
  PARTITIONS,
  parseBaseArn,
  parseRoleArn,
  resolveRole,
} from './role-arn.ts'

const messageOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (isCoded(error, 'ARN_INVALID')) return error.message
    throw error
  }
  throw new Error('nothing was thrown')
}

const base = parseBaseArn('arn:aws:iam::123456789012:role/')

describe('a role ARN', () => {
  test('is taken apart', () => {
    expect(parseRoleArn('arn:aws-cn:iam::123456789012:role/team/web/app')).toEqual({
      partition: 'aws-cn',
      account: '123456789012',
      path: '/team/web/',
      name: 'app',
      text: 'arn:aws-cn:iam::123456789012:role/team/web/app',
    })
  })

  test.each(Object.keys(PARTITIONS))('may be in partition %s', (partition) => {
    expect(parseRoleArn(`arn:${partition}:iam::123456789012:role/app`).partition).toBe(partition)
  })

  test.each([
    '',
    'app',
    'arn:aws:iam::123456789012:role/',
    'arn:aws:iam::123456789012:role',
    'arn:aws:iam::123456789012:role/team/',
    'arn:aws:iam::123456789012:role//app',
    'arn:aws:iam::12345678901:role/app',
    'arn:aws:iam::1234567890123:role/app',
    'arn:aws:iam::aws:role/app',
    'arn:aws:iam:us-east-1:123456789012:role/app',
    'arn:aws:sts::123456789012:assumed-role/app/session',
    'arn:aws:iam::123456789012:user/app',
    'ARN:aws:iam::123456789012:role/app',
    'arn:aws-moon:iam::123456789012:role/app',
    'arn:constructor:iam::123456789012:role/app',
    'arn:aws:iam::123456789012:role/app role',
    'arn:aws:iam::123456789012:role/app\n',
    '\narn:aws:iam::123456789012:role/app',
    'arn:aws:iam::123456789012:role/té/app',
    `arn:aws:iam::123456789012:role/${'n'.repeat(65)}`,
    `arn:aws:iam::123456789012:role/${'p'.repeat(511)}/app`,
    'arn:aws:iam::123456789012:role/*',
  ])('is not %j', (text) => {
    expect(messageOf(() => parseRoleArn(text))).toContain('arn:aws:iam::123456789012:role/NAME')
  })

  test('that is long is shown cut, and line breaks are shown as such', () => {
    expect(messageOf(() => parseRoleArn('x'.repeat(5000))).length).toBeLessThan(400)
    expect(messageOf(() => parseRoleArn('a\nb'))).not.toContain('\n')
  })
})

describe('a base ARN', () => {
  test.each([
    ['arn:aws:iam::123456789012:role/', '/'],
    ['arn:aws:iam::123456789012:role', '/'],
    ['arn:aws:iam::123456789012:role/k8s', '/k8s/'],
    ['arn:aws:iam::123456789012:role/k8s/prod/', '/k8s/prod/'],
  ])('%s has path %s', (text, path) => {
    expect(parseBaseArn(text)).toMatchObject({ path, account: '123456789012' })
    expect(parseBaseArn(text).text).toBe(`arn:aws:iam::123456789012:role${path}`)
  })

  test.each([
    '',
    'role/',
    'arn:aws:iam::123456789012:',
    'arn:aws:iam::123456789012:roles/',
    'arn:aws:iam::1:role/',
  ])('is not %j', (text) => {
    expect(messageOf(() => parseBaseArn(text))).toContain('is not an IAM role')
  })

  test('is known from the node’s instance profile, whatever path that has', () => {
    expect(baseArnOfInstanceProfile('arn:aws-us-gov:iam::123456789012:instance-profile/eks/node').text).toBe(
      'arn:aws-us-gov:iam::123456789012:role/',
    )
    expect(messageOf(() => baseArnOfInstanceProfile('arn:aws:iam::123456789012:role/node'))).toContain(
      'is not an instance profile',
    )
  })
})

describe('a name in an annotation', () => {
  test.each([
    ['app', 'arn:aws:iam::123456789012:role/app'],
    ['team/app', 'arn:aws:iam::123456789012:role/team/app'],
    ['/team/app', 'arn:aws:iam::123456789012:role/team/app'],
    ['/app', 'arn:aws:iam::123456789012:role/app'],
    ['a+b=c,d.e@f-g_h', 'arn:aws:iam::123456789012:role/a+b=c,d.e@f-g_h'],
    ['arn:aws:iam::999999999999:role/app', 'arn:aws:iam::999999999999:role/app'],
  ])('%s means %s', (text, arn) => {
    expect(resolveRole(text, base).text).toBe(arn)
  })

  test('goes below the path of the base ARN', () => {
    const deep = parseBaseArn('arn:aws:iam::123456789012:role/k8s')
    expect(resolveRole('team/app', deep).text).toBe('arn:aws:iam::123456789012:role/k8s/team/app')
  })

  test.each([
    '',
    '/',
    'app/',
    '//app',
    'a b',
    'app\n',
    '*',
    'role:app',
    'Arn:aws:iam::123456789012:role/app',
    'é',
  ])('%j means none', (text) => {
    expect(messageOf(() => resolveRole(text, base))).toContain('is not an IAM role')
  })

  test('is short where it is no ARN', () => {
    expect(['app', 'team/app', '/app'].map(isShortRoleName)).toEqual([true, true, true])
    expect(
      ['', 'a b', 'app/', 'arn:x', 'ARN:x', 'arn:aws:iam::123456789012:role/app'].map(isShortRoleName),
    ).toEqual(Array(6).fill(false))
  })

  test('that is short means none without a base, and the message says what to do', () => {
    expect(messageOf(() => resolveRole('app', undefined))).toContain('--base-role-arn')
    expect(resolveRole('arn:aws:iam::999999999999:role/app', undefined).account).toBe('999999999999')
  })
})

const account = fc.stringMatching(/^\d{12}$/)
const name = fc.stringMatching(/^[\w+=,.@-]{1,64}$/)
const path = fc.array(fc.stringMatching(/^[\x21-\x2e\x30-\x7e]{1,20}$/), { maxLength: 4 })
const partition = fc.constantFrom(...Object.keys(PARTITIONS))

test('every ARN survives the round trip through its parts', () => {
  fc.assert(
    fc.property(partition, account, path, name, (p, a, segments, n) => {
      const text = `arn:${p}:iam::${a}:role/${[...segments, n].join('/')}`
      const role = parseRoleArn(text)
      expect(`arn:${role.partition}:iam::${role.account}:role${role.path}${role.name}`).toBe(text)
      expect(role.text).toBe(text)
      expect(resolveRole(text, base)).toEqual(role)
      expect(assumedRoleArn(role, 'default.web-0')).toBe(`arn:${p}:sts::${a}:assumed-role/${n}/default.web-0`)
    }),
  )
})

test('every short name is the rest of the ARN after the base', () => {
  fc.assert(
    fc.property(path, path, name, (basePath, segments, n) => {
      const prefix = parseBaseArn(`arn:aws:iam::123456789012:role/${basePath.join('/')}`)
      const short = [...segments, n].join('/')
      fc.pre(!/^arn:/i.test(short))
      const role = resolveRole(short, prefix)
      expect(role.text).toBe(prefix.text + short)
      expect(role.text.startsWith(prefix.text)).toBe(true)
    }),
  )
})

test('whatever the text, the answer is a role or ARN_INVALID', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary-ascii' }),
        fc.string(),
        fc.string().map((s) => `arn:aws:iam::123456789012:role/${s}`),
      ),
      (text) => {
        try {
          expect(resolveRole(text, base).text).toMatch(/^arn:aws:iam::123456789012:role\/[\x21-\x7e]+$/)
        } catch (error) {
          expect(isCoded(error, 'ARN_INVALID')).toBe(true)
        }
      },
    ),
  )
})
