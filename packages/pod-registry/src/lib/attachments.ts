import type { IpAddress } from '@kube2iam-ts/core'

/**
 * What the node itself knows of addresses, whatever the API server says: by which of its network interfaces one is
 * reached. An interface is named by name and index (`veth1a2b#17`), because some CNIs give every pod of a name the same
 * interface name. Both answers come at once and from the node alone.
 */
export interface Attachments {
  /** Every interface that there is now, never from memory; `undefined` where that cannot be told. */
  interfaces(): ReadonlySet<string> | undefined
  /**
   * The interface by which an answer to the address leaves, so that nobody but who is behind it gets the answer.
   * `undefined` where the node does not know, or knows only one that pods share.
   */
  interfaceOf(address: IpAddress): string | undefined
}
