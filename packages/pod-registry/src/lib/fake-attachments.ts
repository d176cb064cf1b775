import type { IpAddress } from '@kube2iam-ts/core'
import type { Attachments } from './attachments.ts'

/** A node's interfaces as a test has them. */
export interface FakeAttachments extends Attachments {
  /** A CNI has made an interface, and the address goes by it from now on. Gives its name and index. */
  attach(name: string, ...addresses: IpAddress[]): string
  /** An address goes by another interface that there is. */
  lead(address: IpAddress, name: string): void
  /** The interface is gone, and with it every way to it. */
  detach(name: string): void
  /** What goes to the address goes nowhere that the node can tell. */
  unroute(address: IpAddress): void
  /** The node tells nothing, as one whose CNI gives pods no interfaces of their own. */
  isSilent: boolean
}

export function createFakeAttachments(): FakeAttachments {
  const names = new Map<string, string>()
  const ways = new Map<IpAddress, string>()
  let index = 0
  let isSilent = false
  return {
    get isSilent() {
      return isSilent
    },
    set isSilent(value) {
      isSilent = value
    },
    attach(name, ...addresses) {
      index += 1
      const id = `${name}#${index}`
      names.set(name, id)
      for (const address of addresses) ways.set(address, name)
      return id
    },
    lead: (address, name) => void ways.set(address, name),
    detach(name) {
      names.delete(name)
      for (const [address, by] of ways) if (by === name) ways.delete(address)
    },
    unroute: (address) => void ways.delete(address),
    interfaces: () => (isSilent ? undefined : new Set(names.values())),
    interfaceOf(address) {
      const name = isSilent ? undefined : ways.get(address)
      return name === undefined ? undefined : names.get(name)
    },
  }
}
