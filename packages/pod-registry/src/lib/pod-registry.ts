import type { IpAddress, NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import type { FeedFreshness } from './feed-progress.ts'
import type { Lookup } from './lookup.ts'
import type { FeedName, RegistryChange } from './registry-events.ts'

export interface WaitForOptions {
  /** `Clock.monotonic` milliseconds by which there is an answer, whatever it is. */
  readonly deadline: number
  /** Aborted when nobody wants the answer any more: the promise rejects with `ABORTED`. */
  readonly signal: AbortSignal
}

/** How current the registry is. The parts are the feeds'. */
export interface Freshness {
  /** Every feed has had its first snapshot. */
  readonly synced: boolean
  /** The pods' feed has been silent for longer than the limit. */
  readonly stale: boolean
  /** Since the pods' last sign of life. */
  readonly ageMs: number
  readonly feeds: Readonly<Partial<Record<FeedName, FeedFreshness>>>
}

/** Sizes for gauges and the debug page. */
export interface RegistrySizes {
  readonly pods: number
  readonly namespaces: number
  readonly serviceAccounts: number
  readonly ambiguousAddresses: number
  readonly waiting: number
}

/** Which pod an address is. Fed by watches, read by requests; a request asks nothing of anybody. */
export interface PodRegistry {
  /** Begins to follow the feeds, until the signal or `close`. Call it once. */
  start(signal?: AbortSignal): void
  /** Resolves with the first snapshot of every feed; rejects with `ABORTED` with the signal. */
  synced(signal?: AbortSignal): Promise<void>
  /** Who the address is, as known this moment. */
  lookup(address: IpAddress): Lookup
  /** The same, waiting for a pod (and its namespace) to become known. Woken by the event itself. */
  waitFor(address: IpAddress, options: WaitForOptions): Promise<Lookup>
  /**
   * Whether `waitFor` would rather ask the source itself: there is somebody to ask, the index may be wrong about the
   * address, and nobody has asked about it within the last second.
   */
  isInDoubt(address: IpAddress): boolean
  /** Every pod that is known, address or not. */
  pods(): IterableIterator<PodIdentity>
  namespace(name: string): NamespaceRecord | undefined
  serviceAccount(namespace: string, name: string): ServiceAccountRecord | undefined
  /** Calls back after each change, when lookups already see it. Gives the function that ends it. */
  onChange(listener: (change: RegistryChange) => void): () => void
  freshness(): Freshness
  sizes(): RegistrySizes
  /** What is known, for a debug page: no secrets are in it. */
  debugStore(): {
    pods: PodIdentity[]
    namespaces: NamespaceRecord[]
    serviceAccounts: ServiceAccountRecord[]
  }
  /** Ends the feeds and answers everybody who waits. */
  close(): Promise<void>
}
