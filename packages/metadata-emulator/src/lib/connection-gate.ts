import type { IpAddress } from '@kube2iam-ts/core'

export interface ConnectionLimits {
  /** Connections of all peers together. */
  readonly connections: number
  readonly connectionsPerPeer: number
}

/** Counts connections, so that one pod cannot hold all of them. */
export interface ConnectionGate {
  enter(peer: IpAddress): 'entered' | 'too-many-connections' | 'too-many-connections-of-peer'
  leave(peer: IpAddress): void
  readonly open: number
}

export function createConnectionGate({ connections, connectionsPerPeer }: ConnectionLimits): ConnectionGate {
  const byPeer = new Map<IpAddress, number>()
  let open = 0
  return {
    enter(peer) {
      const ofPeer = byPeer.get(peer) ?? 0
      if (ofPeer >= connectionsPerPeer) return 'too-many-connections-of-peer'
      if (open >= connections) return 'too-many-connections'
      byPeer.set(peer, ofPeer + 1)
      open += 1
      return 'entered'
    },
    leave(peer) {
      const ofPeer = byPeer.get(peer) ?? 0
      if (ofPeer <= 1) byPeer.delete(peer)
      else byPeer.set(peer, ofPeer - 1)
      open -= 1
    },
    get open() {
      return open
    },
  }
}
