import { endianness } from 'node:os'
import type { IpAddress } from '@kube2iam-ts/core'

// How the kernel prints its tables: net/ipv4/fib_trie.c, net/ipv6/route.c, net/ipv4/arp.c and, for the forwarding table
// of a bridge, struct __fdb_entry of include/uapi/linux/if_bridge.h.

const RTF_GATEWAY = 0x2
const RTF_ANYCAST = 0x10_0000
const RTF_LOCAL = 0x8000_0000
const ATF_COM = 0x2
const FDB_ENTRY_BYTES = 16
const IS_LITTLE = endianness() === 'LE'

/** Where packets to an address go. */
export interface Route {
  readonly device: string
  /** The route is this one address's own. */
  readonly isHost: boolean
}

/** The route of an IPv4 address in `/proc/net/route`; `undefined` where there is none, or one by way of a gateway. */
export function routeOf(table: string, address: IpAddress): Route | undefined {
  const wanted = numberOf(address)
  let best: { device: string; bits: number; metric: number; flags: number } | undefined
  for (const line of table.split('\n').slice(1)) {
    const [device, destination, , flags, , , metric, mask] = line.split('\t')
    if (device === undefined || destination === undefined || mask === undefined) continue
    const maskBits = Number.parseInt(mask, 16)
    if ((wanted & maskBits) >>> 0 !== Number.parseInt(destination, 16)) continue
    const found = {
      device,
      bits: countBits(maskBits),
      metric: Number(metric),
      flags: Number.parseInt(flags ?? '', 16),
    }
    if (
      best === undefined ||
      found.bits > best.bits ||
      (found.bits === best.bits && found.metric < best.metric)
    )
      best = found
  }
  if (best === undefined || (best.flags & RTF_GATEWAY) !== 0) return undefined
  return { device: best.device, isHost: best.bits === 32 }
}

/** The route to this one IPv6 address in `/proc/net/ipv6_route`, which shows every table's; `undefined` of two. */
export function hostRouteOf(table: string, address: IpAddress): Route | undefined {
  const start = `${hexOf(address)} 80 `
  const devices = new Set<string>()
  for (const line of table.split('\n')) {
    if (!line.startsWith(start)) continue
    const fields = line.trim().split(/\s+/)
    const flags = Number.parseInt(fields[8] ?? '', 16)
    if ((flags & (RTF_GATEWAY | RTF_ANYCAST | RTF_LOCAL)) !== 0) continue
    devices.add(fields[9] ?? '')
  }
  const [device, other] = devices
  return device === undefined || device === '' || other !== undefined ? undefined : { device, isHost: true }
}

/** The MAC address of an IPv4 address on a device in `/proc/net/arp`. */
export function neighbourOf(table: string, address: IpAddress, device: string): string | undefined {
  for (const line of table.split('\n')) {
    if (!line.startsWith(address)) continue
    const [ip, , flags, mac, , on] = line.trim().split(/\s+/)
    if (ip === address && on === device && (Number(flags) & ATF_COM) !== 0) return mac
  }
  return undefined
}

/** The port of a bridge behind which a MAC address is; `undefined` where none is known, or more than one (VLANs). */
export function portOf(table: Buffer, mac: string): number | undefined {
  const wanted = Buffer.from(mac.replaceAll(':', ''), 'hex')
  let port: number | undefined
  for (let at = 0; at + FDB_ENTRY_BYTES <= table.length; at += FDB_ENTRY_BYTES) {
    const isLocal = table[at + 7] !== 0
    if (isLocal || wanted.compare(table, at, at + 6) !== 0) continue
    const found = (table[at + 6] ?? 0) | ((table[at + 12] ?? 0) << 8)
    if (port !== undefined && port !== found) return undefined
    port = found
  }
  return port
}

/** As the kernel prints it: the bytes in the order of the network, read as a number of this machine. */
function numberOf(address: IpAddress): number {
  const bytes = address.split('.').map(Number)
  return (IS_LITTLE ? bytes.toReversed() : bytes).reduce((value, byte) => value * 256 + byte, 0)
}

function countBits(mask: number): number {
  let count = 0
  for (let left = mask; left !== 0; left &= left - 1) count += 1
  return count
}

function hexOf(address: IpAddress): string {
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...gap, ...right].map((group) => group.padStart(4, '0')).join('')
}
