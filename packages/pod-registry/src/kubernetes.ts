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
export type {
  DaemonSetReader,
  DaemonSetState,
  NodePlacement,
  NodeRequirement,
  NodeSelectorTerm,
} from './lib/daemon-set.ts'
export { createDaemonSetReader } from './lib/daemon-set.ts'
export type { EventNote, EventRecorder, EventRecorderOptions, EventSubject } from './lib/event-recorder.ts'
export { createEventRecorder } from './lib/event-recorder.ts'
export type { KubernetesFeedOptions } from './lib/kubernetes-feed.ts'
export { createKubernetesFeed } from './lib/kubernetes-feed.ts'
export type { NodeLabelsReader } from './lib/node-labels.ts'
export { createNodeLabelsReader } from './lib/node-labels.ts'
export type { NodeTaints, Taint } from './lib/node-taints.ts'
export { createNodeTaints } from './lib/node-taints.ts'
export type { ClusterCallCode } from './lib/read-json.ts'
export type { TokenIdentity, TokenReviewer } from './lib/token-reviewer.ts'
export { createTokenReviewer } from './lib/token-reviewer.ts'
