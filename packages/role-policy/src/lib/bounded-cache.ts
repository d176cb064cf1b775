/** Remembers what was computed for the keys used last. */
export interface BoundedCache<Key, Value> {
  get(key: Key, compute: () => Value): Value
  readonly size: number
}

/** Keeps at most `limit` values and forgets the one that was not used for longest. */
export function createBoundedCache<Key, Value extends object>(limit: number): BoundedCache<Key, Value> {
  const values = new Map<Key, Value>()
  return {
    get(key, compute) {
      const known = values.get(key)
      if (known !== undefined) {
        // A map iterates in order of insertion: the first key is the one to forget.
        values.delete(key)
        values.set(key, known)
        return known
      }
      const value = compute()
      if (values.size >= limit) {
        const oldest = values.keys().next()
        if (!oldest.done) values.delete(oldest.value)
      }
      values.set(key, value)
      return value
    },
    get size() {
      return values.size
    },
  }
}
