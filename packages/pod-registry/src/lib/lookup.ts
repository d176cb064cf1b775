import type { NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'

/**
 * Who an address is. The record, its namespace's and its service account's annotations come from one moment, so that
 * nobody has to come back for more.
 */
export type Lookup =
  | {
      readonly kind: 'found'
      readonly pod: PodIdentity
      /** When this registry first knew the pod at this address (`Clock.now`). */
      readonly boundAt: number
      /** `undefined`: the namespace is not known yet, which is neither permission nor refusal. */
      readonly namespace: NamespaceRecord | undefined
      /** `undefined`: not known, or service accounts are not watched. */
      readonly serviceAccount: ServiceAccountRecord | undefined
    }
  /** No pod of this node is known to hold the address. */
  | { readonly kind: 'unknown' }
  /** More than one live pod claims it: nobody is answered. */
  | { readonly kind: 'ambiguous'; readonly pods: readonly PodIdentity[] }
  /**
   * This pod is known there, but the address comes by an interface that is younger than the news of it: most likely it is
   * another pod's by now. Nobody is answered until the API server has said whose.
   */
  | { readonly kind: 'in-doubt'; readonly pod: PodIdentity; readonly interface: string }
  /** It is the node's own, as its host-network pods' records tell: it proves nothing of who asks. */
  | { readonly kind: 'node' }
  /** No first snapshot yet. */
  | { readonly kind: 'not-synced' }
  /**
   * The watch has been silent for too long to bind an address that was not bound before; or it is out of touch, and the
   * pod that was last known there should have ended by now.
   */
  | { readonly kind: 'stale' }
  /** Too many requests wait for this or for all addresses. */
  | { readonly kind: 'overloaded' }
