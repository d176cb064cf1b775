import { expect, test } from 'vitest'
import { formatGoDuration, parseGoDuration } from './go-duration.ts'

test.each([
  ['15m0s', 900_000],
  ['1h30m', 5_400_000],
  ['900ms', 900],
  ['1.5s', 1_500],
  ['.5s', 500],
  ['100us', 0.1],
  ['0', 0],
  ['0s', 0],
  ['+2s', 2_000],
  ['-2s', -2_000],
  ['1h1h', 7_200_000],
])('reads %s as Go does', (text, ms) => {
  expect(parseGoDuration(text)).toBeCloseTo(ms, 9)
})

test.each(['', '15', '15 m', '1d', 'm', '1h 30m', '1,5s', 's1', '1e3s', '--1s', '1s-2s', 'Infinity'])(
  'does not take %j for a duration',
  (text) => {
    expect(parseGoDuration(text)).toBeUndefined()
  },
)

test.each([
  [900_000, '15m0s'],
  [5_400_000, '1h30m0s'],
  [900, '900ms'],
  [1_500, '1.5s'],
  [0, '0s'],
  [-2_000, '-2s'],
])('prints %d ms as %s', (ms, text) => {
  expect(formatGoDuration(ms)).toBe(text)
  expect(parseGoDuration(text)).toBe(ms)
})
