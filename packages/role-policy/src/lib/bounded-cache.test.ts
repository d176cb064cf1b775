import { expect, test } from 'vitest'
import { createBoundedCache } from './bounded-cache.ts'

test('computes once, and forgets what was not used for longest', () => {
  const cache = createBoundedCache<string, { key: string }>(2)
  const computed: string[] = []
  const get = (key: string) =>
    cache.get(key, () => {
      computed.push(key)
      return { key }
    }).key
  expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(['a', 'b', 'a', 'c', 'a', 'b'])
  expect(computed).toEqual(['a', 'b', 'c', 'b'])
  expect(cache.size).toBe(2)
})
