/** How the broker behaves; every field has a default. */
export interface BrokerSettings {
  /**
   * No document with less real life than this is served while STS works (or than half its life, for sessions that
   * are shorter than twice this). SDKs begin to mistrust credentials between 5 and 25 minutes before their end.
   */
  readonly minimumLifeMs: number
  /** One STS call may take this long, whoever still waits for it. */
  readonly callTimeoutMs: number
  /** STS calls under way at once. */
  readonly concurrency: number
  /** STS calls that may wait for their turn. */
  readonly queueCapacity: number
  /** The node's budget of STS calls. */
  readonly callsPerSecond: number
  readonly callBurst: number
  /** Prefetches of many pods at once (an agent's start) are spread over this much time at most. */
  readonly prefetchSpreadMs: number
  /** A refusal is remembered this long at first, twice as long every next time, up to the longest. */
  readonly denialTtlMs: number
  readonly longestDenialTtlMs: number
  /** After a failure: the bound of the first wait and of any wait before STS is asked again for the same session. */
  readonly retryBaseMs: number
  readonly retryMaxMs: number
  /** Failures in a row that open an endpoint's circuit, and how long it stays open. */
  readonly circuitFailures: number
  readonly circuitOpenMs: number
  readonly circuitLongestOpenMs: number
  /** Sessions held at most; what was asked for but is kept for no pod is forgotten first. */
  readonly maxSessions: number
}

export const DEFAULT_BROKER_SETTINGS: BrokerSettings = {
  minimumLifeMs: 30 * 60_000,
  callTimeoutMs: 10_000,
  concurrency: 8,
  queueCapacity: 1_000,
  callsPerSecond: 10,
  callBurst: 20,
  prefetchSpreadMs: 15_000,
  denialTtlMs: 30_000,
  longestDenialTtlMs: 300_000,
  retryBaseMs: 500,
  retryMaxMs: 30_000,
  circuitFailures: 5,
  circuitOpenMs: 2_000,
  circuitLongestOpenMs: 15_000,
  maxSessions: 4_000,
}
