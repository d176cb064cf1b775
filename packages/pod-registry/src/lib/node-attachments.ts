import { readdirSync, readFileSync } from 'node:fs'
import { type Clock, type IpAddress, isIpv6 } from '@kube2iam-ts/core'
import type { Attachments } from './attachments.ts'
import { hostRouteOf, neighbourOf, portOf, routeOf } from './node-tables.ts'

export interface NodeAttachmentsOptions {
  clock: Clock
  /** `/proc/net`, which is the reading process's network namespace's. */
  procNet?: string
  /** `/sys/class/net`, which is the namespace's in which `/sys` was mounted. */
  sysNet?: string
}

/** An address does not change hands, and a new container start and ask, in less time. */
const CACHED_MS = 100

/** What one reading of the kernel's tables says; each table is read when it is first asked for. */
interface Tables {
  readonly readAt: number
  /** Also that nothing is found. */
  readonly found: Map<IpAddress, string | undefined>
  readonly texts: Map<string, string>
  readonly forwarding: Map<string, Buffer | undefined>
}

/**
 * Reads the node's own tables: routes to single addresses (ptp, Calico, the AWS VPC CNI, Cilium with endpoint routes) and,
 * where a bridge is the way to the address, its neighbours and its forwarding table. Files only, and at once: a request
 * waits for this. What cannot be read says nothing.
 */
export function createNodeAttachments(options: NodeAttachmentsOptions): Attachments {
  const { clock, procNet = '/proc/net', sysNet = '/sys/class/net' } = options
  let tables = newTables(Number.NEGATIVE_INFINITY)
  /** Whether addresses of the family were ever found: then what is not found deserves a second look. */
  const tells = { 4: false, 6: false }
  /** By bridge and number; what it says is tried each time. */
  const ports = new Map<string, string>()

  return {
    interfaces() {
      const found = new Set<string>()
      try {
        for (const name of readdirSync(sysNet)) {
          const index = indexOf(name)
          if (index !== undefined) found.add(`${name}#${index}`)
        }
      } catch {
        return undefined
      }
      return found
    },
    interfaceOf(address) {
      const family = isIpv6(address) ? 6 : 4
      const now = clock.monotonic()
      if (now - tables.readAt > CACHED_MS) tables = newTables(now)
      const found = lookUp(address, tables)
      if (found !== undefined) tells[family] = true
      if (found !== undefined || !tells[family]) return found
      // A neighbour may be known only since its first packet, which is this request's. And a table of more than a page
      // is read in parts: a line may slip through where another one vanishes.
      tables = newTables(now)
      return lookUp(address, tables)
    },
  }

  function lookUp(address: IpAddress, from: Tables): string | undefined {
    if (from.found.has(address)) return from.found.get(address)
    let id: string | undefined
    try {
      const name = isIpv6(address) ? deviceOfIpv6(address, from) : deviceOfIpv4(address, from)
      const index = name === undefined ? undefined : indexOf(name)
      id = index === undefined ? undefined : `${name}#${index}`
    } catch {
      // No such table, or it cannot be read: the node does not tell.
    }
    from.found.set(address, id)
    return id
  }

  function deviceOfIpv4(address: IpAddress, from: Tables): string | undefined {
    const route = routeOf(text('route', from), address)
    if (route === undefined) return undefined
    const forwarding = forwardingOf(route.device, from)
    if (forwarding === undefined) return route.isHost ? route.device : undefined
    const mac = neighbourOf(text('arp', from), address, route.device)
    const port = mac === undefined ? undefined : portOf(forwarding, mac)
    return port === undefined ? undefined : interfaceAt(route.device, port)
  }

  /** No table of `/proc` has the neighbours of IPv6, so that behind a bridge nothing is known. */
  function deviceOfIpv6(address: IpAddress, from: Tables): string | undefined {
    const device = hostRouteOf(text('ipv6_route', from), address)?.device
    return device === undefined || forwardingOf(device, from) !== undefined ? undefined : device
  }

  function text(name: string, { texts }: Tables): string {
    const known = texts.get(name)
    if (known !== undefined) return known
    const read = readFileSync(`${procNet}/${name}`, 'latin1')
    texts.set(name, read)
    return read
  }

  /** `undefined` of a device that is no bridge. */
  function forwardingOf(device: string, { forwarding }: Tables): Buffer | undefined {
    if (forwarding.has(device)) return forwarding.get(device)
    const table = orNothing(() => readFileSync(`${sysNet}/${device}/brforward`))
    forwarding.set(device, table)
    return table
  }

  function interfaceAt(bridge: string, port: number): string | undefined {
    const key = `${bridge} ${port}`
    const known = ports.get(key)
    if (known !== undefined && portNumber(bridge, known) === port) return known
    for (const [other] of ports) if (other.startsWith(`${bridge} `)) ports.delete(other)
    for (const name of readdirSync(`${sysNet}/${bridge}/brif`)) {
      const number = portNumber(bridge, name)
      if (number !== undefined) ports.set(`${bridge} ${number}`, name)
    }
    return ports.get(key)
  }

  function portNumber(bridge: string, name: string): number | undefined {
    const read = orNothing(() => readFileSync(`${sysNet}/${bridge}/brif/${name}/port_no`, 'latin1'))
    return read === undefined ? undefined : Number(read)
  }

  function indexOf(name: string): string | undefined {
    return orNothing(() => readFileSync(`${sysNet}/${name}/ifindex`, 'latin1'))?.trim()
  }
}

const newTables = (readAt: number): Tables => ({
  readAt,
  found: new Map(),
  texts: new Map(),
  forwarding: new Map(),
})

/** Interfaces vanish at any time, and not everything in `/sys/class/net` is one. */
const GONE = new Set<unknown>(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO', 'EINVAL'])

function orNothing<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return undefined
    throw error
  }
}
