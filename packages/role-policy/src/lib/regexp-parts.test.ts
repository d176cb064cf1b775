import { expect, test } from 'vitest'
import { alternatives, splitTopLevel } from './regexp-parts.ts'

test.each<[source: string, separator: '|' | ':', pieces: string[]]>([
  ['a|b', '|', ['a', 'b']],
  ['(a|b)|c', '|', ['(a|b)', 'c']],
  ['a\\|b|c', '|', ['a\\|b', 'c']],
  ['[|]|b', '|', ['[|]', 'b']],
  ['[]|]|b', '|', ['[]|]', 'b']],
  ['[^]|]|b', '|', ['[^]|]', 'b']],
  ['[\\]|]|b', '|', ['[\\]|]', 'b']],
  ['[[:alpha:]|]|b', '|', ['[[:alpha:]|]', 'b']],
  ['[[:alpha:]:]:b', ':', ['[[:alpha:]:]', 'b']],
  ['\\Qa|b\\E|c', '|', ['\\Qa|b\\E', 'c']],
  ['\\Qa|b', '|', ['\\Qa|b']],
  ['(?:a:b):(?i:c:d)', ':', ['(?:a:b)', '(?i:c:d)']],
  ['a\\', '|', ['a\\']],
  ['[a|b', '|', ['[a|b']],
  ['', '|', ['']],
  ['|', '|', ['', '']],
])('%j is cut at each top-level "%s"', (source, separator, pieces) => {
  expect(splitTopLevel(source, separator)).toEqual(pieces)
})

test('the last of a limited number of pieces keeps the rest', () => {
  expect(splitTopLevel('a:b:c:d', ':', 3)).toEqual(['a', 'b', 'c:d'])
})

test.each<[source: string, expected: string[]]>([
  ['a', ['a']],
  ['^a$', ['a']],
  ['a\\$', ['a\\$']],
  ['a[$]', ['a[$]']],
  ['a|b', ['a', 'b']],
  ['^a|b$', ['a', 'b']],
  ['(a|b)', ['a', 'b']],
  ['^(?:a|(b|^c$))$', ['a', 'b', 'c']],
  ['(a)(b)', ['(a)(b)']],
  ['(a|b)c', ['(a|b)c']],
  ['(a|b)*', ['(a|b)*']],
  ['(?i)a', ['(?i)a']],
  ['(?i:a|b)', ['(?i:a|b)']],
  ['(\\)|a)', ['\\)', 'a']],
])('the alternatives of %j', (source, expected) => {
  expect(alternatives(source)).toEqual(expected)
})

test.each([
  ['groups', `${'(?:'.repeat(900)}a${')'.repeat(900)}`],
  ['anchors', `a${'$'.repeat(900)}`],
  ['groups around alternatives', `${'(?:a|'.repeat(600)}a${')'.repeat(600)}`],
])('%s without end around all of it are not walked through', (_what, source) => {
  expect(() => alternatives(source)).toThrow('too many')
})
