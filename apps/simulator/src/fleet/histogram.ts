/** Counts of durations in buckets that grow by 5 %: percentiles without keeping every value. */
export interface Histogram {
  add(valueMs: number): void
  readonly count: number
  /** The upper bound of the bucket where the share `q` (0.99) lies; 0 when empty. */
  quantile(q: number): number
}

const GROWTH = Math.log(1.05)
const BUCKETS = 600

export function createHistogram(): Histogram {
  const counts = new Float64Array(BUCKETS)
  let count = 0
  return {
    add(valueMs) {
      const bucket = valueMs < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log(valueMs) / GROWTH))
      counts[bucket] = (counts[bucket] ?? 0) + 1
      count += 1
    },
    get count() {
      return count
    },
    quantile(q) {
      const wanted = Math.ceil(q * count)
      let seen = 0
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
        seen += counts[bucket] ?? 0
        if (seen >= wanted && seen > 0) return bucket === 0 ? 0 : Math.exp(bucket * GROWTH)
      }
      return 0
    },
  }
}

/** The value that the share `q` of the values is not above. */
export function quantileOf(values: Uint32Array, q: number): number {
  if (values.length === 0) return 0
  const sorted = values.toSorted()
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? 0
}
