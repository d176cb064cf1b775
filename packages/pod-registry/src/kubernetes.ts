export type { ApiConnection, ApiRequest, ApiResponse } from './lib/api-connection.ts'
export type { Cluster, ClusterAccess, ClusterSource } from './lib/cluster.ts'
export { loadCluster } from './lib/cluster.ts'
export type { ClusterConnectionOptions } from './lib/cluster-connection.ts'
export { connectToCluster } from './lib/cluster-connection.ts'
export type { ClusterFeedOptions, ConfirmOptions, PodFeedOptions } from './lib/cluster-feeds.ts'
export {
  createAddressConfirmation,
  createNamespaceFeed,
  createPodFeed,
  createServiceAccountFeed,
} from './lib/cluster-feeds.ts'
export type { KubernetesFeedOptions } from './lib/kubernetes-feed.ts'
export { createKubernetesFeed } from './lib/kubernetes-feed.ts'
