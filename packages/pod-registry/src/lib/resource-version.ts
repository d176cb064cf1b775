// Kubernetes' resource versions of one resource can be compared since 1.35's documentation says so: decimal integers
// of any length. Where a server gives anything else, nothing is claimed about the order.
const DECIMAL = /^(?:0|[1-9]\d*)$/

const comparable = (a: string, b: string): boolean => DECIMAL.test(a) && DECIMAL.test(b)
const below = (a: string, b: string): boolean => a.length < b.length || (a.length === b.length && a < b)

/** Whether the first version is known to be before the second. */
export const olderThan = (a: string, b: string): boolean => comparable(a, b) && below(a, b)

/** Whether to move from `current` to `next`: not where it is known to go back. */
export const isNewer = (next: string, current: string): boolean =>
  next !== current && !olderThan(next, current)
