import { expect, test } from 'vitest'
import { createSeededRandom } from './seeded-random.ts'

const stream = (seed: number, length: number) => {
  const random = createSeededRandom(seed)
  return Array.from({ length }, random)
}

test('the same seed gives the same run, another seed another', () => {
  expect(stream(42, 50)).toEqual(stream(42, 50))
  expect(stream(42, 50)).not.toEqual(stream(43, 50))
})

test.each([0, 1, 42, -1, 2 ** 32 + 5])('numbers of seed %d are spread evenly over [0, 1)', (seed) => {
  const numbers = stream(seed, 20_000)
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
  const tenths = Array<number>(10).fill(0)
  for (const number of numbers) tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1
  for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(250)
  expect(new Set(numbers).size).toBeGreaterThan(19_900)
})
