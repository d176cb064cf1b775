/** An answer of the real metadata service, reduced to what may be passed on. */
export interface UpstreamAnswer {
  readonly status: number
  /** Lower-case names; hop-by-hop and token headers are gone. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * The node's own metadata service. It is asked only for canonical paths that the allow-list names, with a token of
 * the agent's own, and never with a header that a pod sent. Rejects with `UPSTREAM_UNAVAILABLE` (retryable).
 */
export interface Upstream {
  get(path: string, options: { readonly signal: AbortSignal }): Promise<UpstreamAnswer>
  close(): Promise<void>
}
