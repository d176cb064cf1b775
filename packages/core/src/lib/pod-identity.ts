import type { IpAddress } from './ip-address.ts'

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'

/** What the agent keeps of a pod: enough to decide and to explain, and no more. */
export interface PodIdentity {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
  readonly node: string
  /** All of `status.podIPs`, canonical. Of a host-network pod these are the node's, and never owned by the pod. */
  readonly addresses: readonly IpAddress[]
  readonly hostNetwork: boolean
  readonly phase: PodPhase
  readonly createdAt: Date
  /** `metadata.deletionTimestamp`: the pod is terminating, and still has its address until it is gone. */
  readonly deletedAt: Date | undefined
  /**
   * Since when its sandbox has its network, as the kubelet tells (`PodReadyToStartContainers`), in whole seconds since the
   * epoch, as Kubernetes writes times: small enough to cost no object for each pod. `undefined` while it has none, or
   * where the kubelet is older than 1.29.
   */
  readonly sandboxSeconds?: number | undefined
  /** Only the annotations that settings name. */
  readonly annotations: Readonly<Record<string, string>>
}

/** What the agent keeps of a namespace. */
export interface NamespaceRecord {
  readonly name: string
  /** Only the annotations that settings name. */
  readonly annotations: Readonly<Record<string, string>>
}

/** What the agent keeps of a service account, where it watches them at all. */
export interface ServiceAccountRecord {
  readonly namespace: string
  readonly name: string
  /** Only the annotations that settings name. */
  readonly annotations: Readonly<Record<string, string>>
}
