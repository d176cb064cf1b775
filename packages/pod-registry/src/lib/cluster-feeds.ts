import {
  type Clock,
  type IpAddress,
  isIpv6,
  type NamespaceRecord,
  type PodIdentity,
  type Random,
  type ServiceAccountRecord,
} from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import type { ConfirmAddress } from './confirmations.ts'
import type { Feed } from './feed.ts'
import { namespaceReducer, podReducer, serviceAccountReducer } from './from-kubernetes.ts'
import { createKubernetesFeed, type KubernetesFeedOptions } from './kubernetes-feed.ts'
import { readJson } from './read-json.ts'

/** What every feed of one cluster shares. */
export interface ClusterFeedOptions
  extends Pick<
    KubernetesFeedOptions<unknown>,
    'pageSize' | 'watchMs' | 'silenceMs' | 'listSilenceMs' | 'backoff'
  > {
  connection: ApiConnection
  clock: Clock
  random: Random
  /** The annotations that are kept; all others are dropped as they arrive. */
  annotationKeys: readonly string[]
}

export interface PodFeedOptions extends ClusterFeedOptions {
  /** Only this node's pods (`spec.nodeName`); without it every pod of the cluster. */
  node?: string
}

/** The pods of one node, or of all. Needs `list` and `watch` of pods. */
export function createPodFeed({ node, annotationKeys, ...options }: PodFeedOptions): Feed<PodIdentity> {
  return createKubernetesFeed({
    ...options,
    path: '/api/v1/pods',
    ...(node === undefined ? {} : { fieldSelector: `spec.nodeName=${node}` }),
    reduce: podReducer(annotationKeys),
  })
}

/** All namespaces, as metadata only. Needs `list` and `watch` of namespaces. */
export function createNamespaceFeed({
  annotationKeys,
  ...options
}: ClusterFeedOptions): Feed<NamespaceRecord> {
  return createKubernetesFeed({
    ...options,
    path: '/api/v1/namespaces',
    metadataOnly: true,
    reduce: namespaceReducer(annotationKeys),
  })
}

/** All service accounts, as metadata only. Needs `list` and `watch` of serviceaccounts. */
export function createServiceAccountFeed({
  annotationKeys,
  ...options
}: ClusterFeedOptions): Feed<ServiceAccountRecord> {
  return createKubernetesFeed({
    ...options,
    path: '/api/v1/serviceaccounts',
    metadataOnly: true,
    reduce: serviceAccountReducer(annotationKeys),
  })
}

export interface ConfirmOptions {
  connection: ApiConnection
  annotationKeys: readonly string[]
  node?: string
}

/**
 * Asks the API server for the pods at one address. `status.podIP` selects by a pod's first address only, so an
 * address of the other family of a dual-stack pod is looked for among the node's pods; without a node it cannot be.
 */
export function createAddressConfirmation({
  connection,
  annotationKeys,
  node,
}: ConfirmOptions): ConfirmAddress {
  const reduce = podReducer(annotationKeys)
  return async (address: IpAddress, signal) => {
    const onNode = node === undefined ? [] : [`spec.nodeName=${node}`]
    const first = await list([`status.podIP=${address}`, ...onNode], signal)
    if (first.length > 0 || node === undefined || !isIpv6(address)) return first
    return (await list(onNode, signal)).filter((pod) => pod.addresses.includes(address))
  }

  async function list(selectors: readonly string[], signal: AbortSignal): Promise<PodIdentity[]> {
    const query = new URLSearchParams({ fieldSelector: selectors.join(',') })
    const answer = await readJson(connection, {
      method: 'GET',
      path: `/api/v1/pods?${query.toString()}`,
      signal,
    })
    const { items } = answer as { items?: unknown[] | null }
    return (items ?? []).flatMap((item) => reduce(item) ?? [])
  }
}
