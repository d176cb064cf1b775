import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { globsAgree } from '../../test/properties.ts'
import { compileGlob } from './glob.ts'

test.each([
  ['app', 'app', true],
  ['app', 'app-admin', false],
  ['app', 'my-app', false],
  ['app*', 'app', true],
  ['app*', 'app-admin', true],
  ['*app', 'my-app', true],
  ['team/*', 'team/a/b', true],
  ['team/*', 'team', false],
  ['a*a', 'a', false],
  ['a*a', 'aa', true],
  ['ab*ba', 'aba', false],
  ['*b*b*', 'b', false],
  ['*a*a', 'a', false],
  ['**', '', true],
  ['', '', true],
  ['', 'a', false],
  ['a?c', 'abc', false],
  ['a.c', 'abc', false],
  ['a|b', 'a', false],
])('glob %j on %j: %s', (glob, text, expected) => {
  expect(compileGlob(glob)(text)).toBe(expected)
})

test('matches the texts that it means', () => {
  fc.assert(globsAgree, { numRuns: 2000 })
})

test('many stars on a long text that almost matches come to an end', () => {
  const glob = `${'*a'.repeat(500)}b`
  expect(compileGlob(glob)('a'.repeat(100_000))).toBe(false)
  expect(compileGlob(`${'*a'.repeat(500)}*c*`)('a'.repeat(100_000))).toBe(false)
})
