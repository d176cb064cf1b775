import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quoted, showable } from './foreign-text.ts'

const ONE_VISIBLE_LINE = /^"[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*"$/u
const anyText = fc
  .array(fc.integer({ min: 0, max: 0x10ffff }))
  .map((points) => points.map((point) => String.fromCodePoint(point)).join(''))

describe('text that somebody else wrote', () => {
  test('is shown as it is where it is harmless', () => {
    expect(showable('app/rôle 日本 "x"')).toBe('app/rôle 日本 "x"')
    expect(quoted('a "b"')).toBe('"a \\"b\\""')
  })

  test.each([
    ['a line break', 'a\nb', '"a\\nb"'],
    ['an escape sequence', 'a\u001b[2Kb', '"a\\u001b[2Kb"'],
    ['its one-character form', 'a\u009b2Kb', '"a\\u009b2Kb"'],
    ['a reversed rest', 'a\u202eb', '"a\\u202eb"'],
    ['nothing to see', 'a\u200bb', '"a\\u200bb"'],
    ['another line break', 'a\u2028b', '"a\\u2028b"'],
    ['a hidden tag', 'a\u{e0041}b', '"a\\u{e0041}b"'],
  ])('never moves, hides or reverses what stands around it: %s', (_what, text, shown) => {
    expect(quoted(text)).toBe(shown)
  })

  test('is one visible line, whatever it is', () => {
    fc.assert(fc.property(anyText, (text) => ONE_VISIBLE_LINE.test(quoted(text))))
  })
})
