import type { IpAddress } from '@kube2iam-ts/core'
import type { Attachments } from './attachments.ts'

/** A node's interfaces as a test has them. */
export interface FakeAttachments extends Attachments {
  /** A CNI has made an interface, and the addresses go by it from now on. Gives its name and index. */
  attach(name: string, ...addresses: IpAddress[]): string
  /** An address goes by another interface that there is. */
  lead(address: IpAddress, name: string): void
  /** The interface is gone; its addresses go again where they went before, if that is there. */
  detach(name: string): void
  /** What goes to the address goes nowhere that the node can tell. */
  unroute(address: IpAddress): void
  /** The node tells nothing, as one whose CNI gives pods no interfaces of their own. */
  isSilent: boolean
}

export function createFakeAttachments(): FakeAttachments {
  const ids = new Map<string, string>()
  /** The names by which an address goes; the last one counts. */
  const ways = new Map<IpAddress, readonly string[]>()
  let index = 0
  let isSilent = false
  const others = (address: IpAddress, name: string): readonly string[] =>
    (ways.get(address) ?? []).filter((other) => other !== name)
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
      ids.set(name, id)
      for (const address of addresses) this.lead(address, name)
      return id
    },
    lead: (address, name) => void ways.set(address, [...others(address, name), name]),
    detach(name) {
      ids.delete(name)
      for (const address of ways.keys()) {
        const left = others(address, name)
        if (left.length === 0) ways.delete(address)
        else ways.set(address, left)
      }
    },
    unroute: (address) => void ways.delete(address),
    interfaces: () => (isSilent ? undefined : new Set(ids.values())),
    interfaceOf(address) {
      const name = isSilent ? undefined : ways.get(address)?.at(-1)
      return name === undefined ? undefined : ids.get(name)
    },
  }
}
