import type { LayoutInput } from './layout.ts'
import type { DesiredTable, NetfilterStep, Observed } from './plan.ts'
import type { BackendName, Family } from './settings.ts'

/** A program and its arguments. */
export type MonitorCommand = readonly [file: string, args: readonly string[]]

export interface FamilySupport {
  /** Whether rules for this family can be made at all. */
  readonly available: boolean
  /** Whether destination NAT is possible. */
  readonly nat: boolean
  /** The node does not have this family at all: nothing to protect. */
  readonly absent?: boolean
  /** Why not, for people. */
  readonly reason?: string
}

export type Support = Readonly<Record<Family, FamilySupport>>

/** One way to program netfilter. Every method rejects with the codes of errors.ts. */
export interface NetfilterBackend {
  readonly name: BackendName
  /** What the node can do, asked once at start. */
  probe(signal?: AbortSignal): Promise<Support>
  /** The capture in this backend's tables. */
  tables(input: LayoutInput): DesiredTable[]
  /** Our chains and their hooks in those tables, with counters. */
  observe(tables: readonly DesiredTable[], signal?: AbortSignal): Promise<Observed>
  /** Text that changes when somebody changes what hooks our chains; as few calls as possible. */
  fingerprint(tables: readonly DesiredTable[], signal?: AbortSignal): Promise<string>
  /** The same text, of what was observed. */
  fingerprintOf(tables: readonly DesiredTable[], observed: Observed): string
  /**
   * Files in which the kernel counts uses of what our rules are made of; the first is there or none counts. While they
   * read the same, nobody has flushed us. Reading them costs microseconds, asking iptables milliseconds.
   */
  readonly counts?: readonly string[]
  /** Applies the steps in order, each table in one atomic commit. */
  apply(steps: readonly NetfilterStep[], signal?: AbortSignal): Promise<void>
  /** Programs that tell of changes, the first that runs is followed. None for the legacy tables, which tell nobody. */
  readonly monitors: readonly MonitorCommand[]
  /** Whether a line of the monitor's may concern us: rules and chains next to ours, never the whole node's traffic. */
  concerns(monitorLine: string): boolean
}
