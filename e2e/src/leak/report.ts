/** An answer that had the canary in it. */
export interface Leak {
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
  readonly path: string
  readonly connection: 'new' | 'kept'
}

export interface ProbeQuery {
  /** Only leaks whose request was sent at this instant or later, in milliseconds since the epoch. */
  readonly since: number
}

export interface ProbeReport {
  readonly requests: number
  /** How many requests each of the prober's loops has completed, whatever became of them. */
  readonly completed: readonly number[]
  /** How often each status or socket error was met. */
  readonly outcomes: Readonly<Record<string, number>>
  /** The first twenty of those asked for. */
  readonly leaks: readonly Leak[]
  readonly leakCount: number
  /** Whether each kind of connection got any answer of a server to a request that was sent since then. */
  readonly answered: Readonly<Record<Leak['connection'], boolean>>
}
