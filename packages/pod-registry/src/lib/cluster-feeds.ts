import {
  type Clock,
  type IpAddress,
  type NamespaceRecord,
  type PodIdentity,
  type Random,
  type ServiceAccountRecord,
} from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import type { ConfirmAddress } from './confirmations.ts'
import type { Feed } from './feed.ts'
import { refused } from './feed-failures.ts'
import { namespaceReducer, podReducer, serviceAccountReducer } from './from-kubernetes.ts'
import { createKubernetesFeed, type KubernetesFeedOptions } from './kubernetes-feed.ts'
import { splitList } from './list-splitter.ts'

/** What every feed of one cluster shares. */
export interface ClusterFeedOptions
  extends Pick<
    KubernetesFeedOptions<unknown>,
    'pageSize' | 'watchMs' | 'silenceMs' | 'listSilenceMs' | 'relistEveryMs' | 'backoff'
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
 * Asks the API server for the pods at one address, most recent state. `status.podIP` selects by a pod's first address
 * only, so where it finds nothing and the node is known, the node's pods are looked through: the address may be a
 * dual-stack pod's second.
 */
export function createAddressConfirmation({
  connection,
  annotationKeys,
  node,
}: ConfirmOptions): ConfirmAddress {
  const reduce = podReducer(annotationKeys)
  return async (address, signal) => {
    const onNode = node === undefined ? [] : [`spec.nodeName=${node}`]
    const first = await list([`status.podIP=${address}`, ...onNode], address, signal)
    return first.pods.length > 0 || node === undefined ? first : await list(onNode, address, signal)
  }

  async function list(selectors: readonly string[], address: IpAddress, signal: AbortSignal) {
    const query = new URLSearchParams({ fieldSelector: selectors.join(',') })
    const headers = { accept: 'application/json' }
    const path = `/api/v1/pods?${query.toString()}`
    const response = await connection.request({ method: 'GET', path, headers, signal })
    if (response.status !== 200) throw await refused(response, 'FEED_LIST_FAILED')
    const pods: PodIdentity[] = []
    const { metadata } = await splitList(response.body, (object) => {
      const pod = reduce(object)
      if (pod?.addresses.includes(address)) pods.push(pod)
    })
    return { pods, ...(metadata?.resourceVersion && { version: metadata.resourceVersion }) }
  }
}
