import { parseBaseArn, parseRoleArn, type RoleArn } from '@kube2iam-ts/core'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { globPatternsAgree, globsNoLooserThanKube2iam, regexpPatternsAgree } from '../../test/properties.ts'
import { loadPatternEngine, type PatternEngine } from './pattern-engine.ts'
import { type ParsedPattern, parseGlobPattern, parseRegexpPattern } from './role-pattern.ts'

const base = parseBaseArn('arn:aws:iam::123456789012:role/')
const here = (name: string) => parseRoleArn(`arn:aws:iam::123456789012:role/${name}`)
const elsewhere = (name: string) => parseRoleArn(`arn:aws:iam::999999999999:role/${name}`)

let engine: PatternEngine
beforeAll(async () => {
  engine = await loadPatternEngine()
})

function allows(parsed: ParsedPattern, role: RoleArn): boolean {
  if (parsed.kind === 'invalid') throw new Error(parsed.why)
  return parsed.patterns.some((pattern) => pattern.matches(role, base))
}
const glob = (text: string, role: RoleArn) => allows(parseGlobPattern(text), role)
const regexp = (text: string, role: RoleArn) => allows(parseRegexpPattern(text, engine), role)

describe('a pattern without an account', () => {
  test('means this account only, in both forms', () => {
    expect(glob('*', here('app'))).toBe(true)
    expect(glob('*', elsewhere('app'))).toBe(false)
    expect(glob('*admin', elsewhere('admin'))).toBe(false)
    expect(regexp('.*', here('team/app'))).toBe(true)
    expect(regexp('.*', elsewhere('app'))).toBe(false)
    expect(regexp('.*admin', elsewhere('admin'))).toBe(false)
  })

  test('means this partition only', () => {
    expect(glob('*', parseRoleArn('arn:aws-cn:iam::123456789012:role/app'))).toBe(false)
  })

  test('goes below the base ARN’s path, as a role name does', () => {
    const deep = parseBaseArn('arn:aws:iam::123456789012:role/k8s/')
    const parsed = parseGlobPattern('app*')
    if (parsed.kind === 'invalid') throw new Error(parsed.why)
    expect(parsed.patterns[0]?.matches(here('k8s/app-1'), deep)).toBe(true)
    expect(parsed.patterns[0]?.matches(here('app-1'), deep)).toBe(false)
    expect(parsed.patterns[0]?.matches(here('k8s/app-1'), undefined)).toBe(false)
  })

  test('in glob form may begin with the path’s slash', () => {
    expect(glob('/team/*', here('team/app'))).toBe(true)
  })
})

describe('an expression is anchored and grouped', () => {
  test('"app" does not allow app-admin', () => {
    expect(regexp('app', here('app'))).toBe(true)
    expect(regexp('app', here('app-admin'))).toBe(false)
    expect(regexp('app', here('my-app'))).toBe(false)
    expect(regexp('app', here('team/app'))).toBe(false)
  })

  test('"app|admin" allows neither app-anything, anything-admin nor another account’s admin', () => {
    expect(regexp('app|admin', here('app'))).toBe(true)
    expect(regexp('app|admin', here('admin'))).toBe(true)
    expect(regexp('app|admin', here('app-x'))).toBe(false)
    expect(regexp('app|admin', here('x-admin'))).toBe(false)
    expect(regexp('app|admin', elsewhere('admin'))).toBe(false)
  })

  test('anchors of the author’s own change nothing', () => {
    for (const source of ['^app$', '^app|admin$', '(^app$)', '^(?:app|admin)$']) {
      expect(regexp(source, here('app')), source).toBe(true)
      expect(regexp(source, here('app-x')), source).toBe(false)
      expect(regexp(source, here('x-admin')), source).toBe(false)
    }
  })

  test('a line break is no way out', () => {
    expect(regexp('(?m)^app$', here('app'))).toBe(true)
    expect(regexp('(?m)^app$', here('app-x'))).toBe(false)
  })

  test('dots of the base ARN are dots', () => {
    const dotted = parseBaseArn('arn:aws:iam::123456789012:role/k.s/')
    const parsed = parseRegexpPattern('app', engine)
    if (parsed.kind === 'invalid') throw new Error(parsed.why)
    expect(parsed.patterns[0]?.matches(here('kxs/app'), dotted)).toBe(false)
  })
})

describe('a pattern with an account is matched part by part', () => {
  test.each([
    ['arn:aws:iam::999999999999:role/app', elsewhere('app'), true],
    ['arn:aws:iam::999999999999:role/app', here('app'), false],
    ['arn:*:iam::*:role/*', elsewhere('team/app'), true],
    ['arn:aws:iam::*:role/app', elsewhere('app'), true],
    ['arn:aws:iam::999*:role/app', here('app'), false],
    ['arn:aws:iam::123456789012:*', here('app'), true],
  ])('glob %s on %o', (text, role, expected) => {
    expect(glob(text, role)).toBe(expected)
  })

  test('no wildcard reaches from one part into the next', () => {
    // Paths may hold colons: this role of another account ends like the one that is meant.
    const lookalike = elsewhere('x:role/app')
    expect(lookalike.text).toMatch(/^arn:aws:iam::.*:role\/app$/)
    expect(glob('arn:aws:iam::*:role/app', lookalike)).toBe(false)
    expect(regexp('arn:aws:iam::.*:role/app', lookalike)).toBe(false)
    expect(glob('arn:aws:iam::9*:role/app', lookalike)).toBe(false)
  })

  test('each alternative is a pattern of its own, with or without an account', () => {
    const source = 'app|arn:aws:iam::999999999999:role/(?:x|y)|(?:arn:aws-cn:iam::\\d{12}:role/z)'
    expect(regexp(source, here('app'))).toBe(true)
    expect(regexp(source, elsewhere('x'))).toBe(true)
    expect(regexp(source, elsewhere('app'))).toBe(false)
    expect(regexp(source, here('x'))).toBe(false)
    expect(regexp(source, parseRoleArn('arn:aws-cn:iam::111111111111:role/z'))).toBe(true)
  })

  test('colons in groups and classes do not cut', () => {
    expect(regexp('arn:aws:iam::(?:9+|1+):role/[a:]+', elsewhere('aa'))).toBe(true)
    expect(regexp('arn:aws:iam::(?:9+|1+):role/[a:]+', here('aa'))).toBe(false)
  })
})

describe('what cannot be used says why', () => {
  test.each([
    '',
    ' app',
    'app\n',
    'two words',
    'äpp',
    'arn:aws:iam::123456789012',
    'arn:*',
    'ARN:aws:iam::1:role/x',
  ])('glob %j', (text) => {
    expect(parseGlobPattern(text)).toMatchObject({
      kind: 'invalid',
      why: expect.stringMatching(/^(it|a full pattern)/),
    })
  })

  test.each([
    '',
    '(',
    'a)',
    '[',
    'a**',
    '(?=a)',
    '(a)\\1',
    '(?<=a)b',
    'a{1001}',
    'arn:aws:iam::123456789012.*',
    'arn:.*',
    'arn:*aws:iam::1:role/x',
    '(?:[a-z]{100}){10}',
    // Each such class takes 10 ms to compile, and thousands of them are one step each.
    '(?i)[!-\\x{1e942}]',
    '(?i)[!-\u{1e942}]',
    '\\pL',
    '[\\P{Greek}]',
    `${'(?:'.repeat(900)}a${')'.repeat(900)}`,
  ])('expression %j', (text) => {
    const parsed = parseRegexpPattern(text, engine)
    expect(parsed.kind).toBe('invalid')
  })
})

test('what is too long or too deep cannot be used', () => {
  expect(parseGlobPattern('a'.repeat(5000))).toMatchObject({ why: 'it is too long' })
  expect(parseRegexpPattern('a'.repeat(5000), engine)).toMatchObject({ why: 'it is too long' })
  expect(parseRegexpPattern(`${'('.repeat(2000)}a${')'.repeat(2000)}`, engine).kind).toBe('invalid')
  expect(parseRegexpPattern('(?:[a-z]{100}){10}', engine)).toMatchObject({
    why: expect.stringMatching('too complex'),
  })
})

describe('held to the plain meaning', () => {
  test('of globs', () => {
    fc.assert(globPatternsAgree, { numRuns: 2000 })
  })

  test('no glob is looser than kube2iam’s', () => {
    fc.assert(globsNoLooserThanKube2iam, { numRuns: 1000 })
  })

  test('of expressions', () => {
    fc.assert(regexpPatternsAgree(engine), { numRuns: 1000 })
  })
})

describe('expressions that take a backtracking engine longer than the universe come to an end', () => {
  const long = here('a'.repeat(64))
  const deep = here(`${'a'.repeat(400)}/${'a'.repeat(60)}`)

  test.each([
    '(a+)+b',
    '(a*)*b',
    '(a|a)*b',
    '(a|aa)+b',
    '(?:a?){60}a{60}b',
    '(.*)*(.*)*(.*)*b',
    '([a-z]+)*([a-z]+)*!',
    '(a|b|ab)*c',
    '(?:(?:a*)*)*b',
  ])('%s', (source) => {
    expect(regexp(source, long)).toBe(false)
    expect(regexp(source, deep)).toBe(false)
  })
})
