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
