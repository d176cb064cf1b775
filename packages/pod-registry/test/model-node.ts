import type { Attachments } from '../src/index.ts'
import { createFakeAttachments } from '../src/testing.ts'
import { ip } from './following.ts'

/** Which pod an address is on the node itself, and what the kubelet tells of it, and when. */
export interface ModelNode {
  readonly attachments: Attachments
  nextUid(): string
  /** The CNI gives the pod an interface for its address; the address goes there from now on. */
  attach(uid: string, address: string): void
  /** The pod's sandbox is gone. */
  detach(uid: string): void
  /** Whether the pod has a sandbox with a network of its own, whatever the API server thinks. */
  has(uid: string): boolean
  /** Who would be asking from the address at this moment, and the number of the interface. */
  holderOf(address: string): { readonly uid: string; readonly made: number } | undefined
  /** How many interfaces were made so far. */
  readonly made: number
  /** The kubelet tells the API server, now or when it is no more behind. */
  tell(write: () => void): void
  /** Whether the kubelet keeps to itself what happens. */
  isBehind: boolean
}

export function createModelNode(): ModelNode {
  const attachments = createFakeAttachments()
  attachments.attach('eth0')
  const there: { uid: string; address: string; name: string; made: number }[] = []
  const untold: (() => void)[] = []
  let made = 0
  let born = 0
  let isBehind = false

  const holder = (address: string) => there.findLast((other) => other.address === address)
  return {
    attachments,
    nextUid() {
      born += 1
      return `uid-${born}`
    },
    attach(uid, address) {
      made += 1
      const name = `veth${made}`
      there.push({ uid, address, name, made })
      attachments.attach(name, ip(address))
    },
    detach(uid) {
      for (const gone of there.filter((other) => other.uid === uid)) {
        there.splice(there.indexOf(gone), 1)
        attachments.detach(gone.name)
      }
    },
    has: (uid) => there.some((other) => other.uid === uid),
    holderOf: holder,
    get made() {
      return made
    },
    tell(write) {
      if (isBehind) untold.push(write)
      else write()
    },
    get isBehind() {
      return isBehind
    },
    set isBehind(value) {
      isBehind = value
      if (value) return
      for (const write of untold.splice(0)) write()
    },
  }
}
