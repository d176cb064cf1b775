import { expect, test } from 'vitest'
import { isNewer, olderThan } from './resource-version.ts'

test('decimal versions are compared as numbers of any length', () => {
  expect(olderThan('9', '10')).toBe(true)
  expect(olderThan('10', '9')).toBe(false)
  expect(olderThan('99999999999999999998', '99999999999999999999')).toBe(true)
  expect(olderThan('7', '7')).toBe(false)
})

test('of versions that are no numbers nothing is claimed', () => {
  expect(olderThan('a', 'b')).toBe(false)
  expect(olderThan('007', '8')).toBe(false)
  expect(isNewer('b', 'a')).toBe(true)
  expect(isNewer('a', 'a')).toBe(false)
  expect(isNewer('9', '10')).toBe(false)
})
