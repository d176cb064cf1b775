import type { IpAddress, NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import type { FeedErrorCode } from './feed.ts'
import type { PodChange } from './pod-index.ts'

export type FeedName = 'pods' | 'namespaces' | 'serviceAccounts'

/** What may change which role somebody gets. */
export type RegistryChange =
  | PodChange
  /** The namespace is new, has other annotations, or is gone (`after` is `undefined`). */
  | { readonly kind: 'namespace'; readonly name: string; readonly after: NamespaceRecord | undefined }
  | {
      readonly kind: 'service-account'
      readonly namespace: string
      readonly name: string
      readonly after: ServiceAccountRecord | undefined
    }

/** What the registry tells its report. */
export type RegistryEvent =
  | { readonly kind: 'feed-synced'; readonly feed: FeedName; readonly items: number; readonly tookMs: number }
  /** A later snapshot. `corrected`: how many records it added, changed or removed that events had not. */
  | {
      readonly kind: 'feed-relisted'
      readonly feed: FeedName
      readonly items: number
      readonly corrected: number
    }
  | {
      readonly kind: 'feed-stale'
      readonly feed: FeedName
      readonly code: FeedErrorCode
      readonly message: string
    }
  | { readonly kind: 'feed-recovered'; readonly feed: FeedName; readonly afterMs: number }
  | { readonly kind: 'pod'; readonly change: PodChange['kind']; readonly pod: PodIdentity }
  | { readonly kind: 'address-ambiguous'; readonly address: IpAddress; readonly pods: readonly PodIdentity[] }
  | { readonly kind: 'address-resolved'; readonly address: IpAddress }
  /** The address comes by an interface that is younger than the news of the pod: it is no more taken for the pod's. */
  | {
      readonly kind: 'address-in-doubt'
      readonly address: IpAddress
      readonly pod: PodIdentity
      readonly interface: string
    }
  /**
   * `interface`: it comes by one that may be the pod's, or its sandbox is as new. `time`: the API server says after a minute
   * that it is the pod's. `change`: others claim it, or none.
   */
  | {
      readonly kind: 'address-out-of-doubt'
      readonly address: IpAddress
      readonly pod: PodIdentity
      readonly by: 'interface' | 'time' | 'change'
      readonly afterMs: number
    }
  /** Somebody waited for an address. */
  | { readonly kind: 'lookup-waited'; readonly outcome: string; readonly waitedMs: number }
  | { readonly kind: 'lookup-overloaded'; readonly address: IpAddress; readonly waiting: number }
  /** The API server was asked for one address. */
  | {
      readonly kind: 'address-confirmed'
      readonly address: IpAddress
      readonly outcome: 'one' | 'none' | 'many' | 'failed'
      readonly tookMs: number
    }
