export interface LoadReport {
  readonly requests: number
  /** Requests that had to be sent again because a kept connection had been closed. */
  readonly repeated: number
  /** The first fifty. */
  readonly failures: readonly {
    readonly startedAt: number
    readonly status: number
    readonly error: string | undefined
    readonly kept: boolean
  }[]
  readonly failureCount: number
}
