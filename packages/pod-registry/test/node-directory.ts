import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { endianness, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { createNodeAttachments } from '../src/node.ts'
import type { AttachmentsWorld } from './attachments.contract.ts'

export interface NodeDirectoryOptions {
  bridge?: boolean
  /** Addresses of pods that are there from the beginning. */
  addresses?: readonly string[]
  /** One that runs, in place of one that stands still. */
  clock?: Clock
}

/** Files as the kernel of a node writes them, in a directory; `bridge`: pods are behind `cni0`, or have routes of their own. */
export function createNodeDirectory({
  bridge = false,
  addresses: there = [],
  ...options
}: NodeDirectoryOptions = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'k2im-node-'))
  const [procNet, sysNet] = [join(directory, 'proc'), join(directory, 'sys')]
  const fake = createFakeClock()
  const clock = options.clock ?? fake
  const pods = new Map<string, { index: number; port: number; addresses: readonly string[] }>()
  /** Lines that a test adds. */
  const more = { routes: [] as string[], arp: [] as string[], fdb: [] as Buffer[] }
  let made = 100
  mkdirSync(procNet)
  for (const [index, address] of there.entries()) {
    made += 1
    pods.set(`veth${index}`, { index: made, port: index + 255, addresses: [address] })
  }
  write()

  const world: AttachmentsWorld = {
    attachments: createNodeAttachments({ clock, procNet, sysNet }),
    attach(name, ...addresses) {
      made += 1
      // Ports of a bridge are used again, as indexes are not.
      const taken = new Set([...pods.values()].map(({ port }) => port))
      const port = [...Array(300).keys()].find((free) => free > 254 && !taken.has(free)) ?? 0
      pods.set(name, { index: made, port, addresses })
      write()
      return `${name}#${made}`
    },
    detach(name) {
      pods.delete(name)
      write()
    },
    settle: () => fake.advance(101),
    close: () => rmSync(directory, { recursive: true }),
  }
  return { ...world, more, write, procNet, sysNet }

  function write(): void {
    rmSync(sysNet, { recursive: true, force: true })
    const device = (name: string, index: number): void => {
      mkdirSync(join(sysNet, name), { recursive: true })
      writeFileSync(join(sysNet, name, 'ifindex'), `${index}\n`)
    }
    device('lo', 1)
    device('eth0', 2)
    writeFileSync(join(sysNet, 'bonding_masters'), '\n')
    if (bridge) device('cni0', 3)
    if (bridge) mkdirSync(join(sysNet, 'cni0', 'brif'))
    const routes = [
      route('eth0', '0.0.0.0', 0, '10.8.0.1'),
      route('eth0', '10.8.0.0', 24),
      ...(bridge ? [route('cni0', '10.0.0.0', 8)] : []),
      ...more.routes,
    ]
    const ipv6 = [
      'fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0',
    ]
    const arp = [...more.arp]
    const fdb = [entry('0a:00:00:00:00:01', 1, true), ...more.fdb]
    for (const [name, { index, port, addresses }] of pods) {
      device(name, index)
      const mac = `0a:58:00:00:${hex(index >> 8)}:${hex(index & 255)}`
      if (bridge) {
        mkdirSync(join(sysNet, 'cni0', 'brif', name))
        writeFileSync(join(sysNet, 'cni0', 'brif', name, 'port_no'), `0x${port.toString(16)}\n`)
        fdb.push(
          entry(`ee:00:00:00:${hex(index >> 8)}:${hex(index & 255)}`, port, true),
          entry(mac, port, false),
        )
      }
      for (const address of addresses) {
        if (address.includes(':')) ipv6.push(hostRoute6(name, address))
        else if (bridge) arp.push(neighbour(address, mac, 'cni0'))
        else routes.push(route(name, address, 32))
      }
    }
    if (bridge) writeFileSync(join(sysNet, 'cni0', 'brforward'), Buffer.concat(fdb))
    writeFileSync(
      join(procNet, 'route'),
      `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n${routes.join('')}`,
    )
    writeFileSync(join(procNet, 'ipv6_route'), ipv6.map((line) => `${line}\n`).join(''))
    writeFileSync(
      join(procNet, 'arp'),
      `IP address       HW type     Flags       HW address            Mask     Device\n${arp.join('')}`,
    )
  }
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0')

export function route(device: string, to: string, bits: number, gateway = '0.0.0.0', metric = 0): string {
  const flags = gateway === '0.0.0.0' ? 1 : 3
  const mask = [0, 8, 16, 24]
    .map((shift) => (0xff00 >> Math.min(8, Math.max(0, bits - shift))) & 255)
    .join('.')
  const fields = [device, word(to), word(gateway), `000${flags}`, '0', '0', metric, word(mask), '0', '0', '0']
  return `${fields.join('\t')}\n`
}

function word(address: string): string {
  const bytes = address.split('.').map(Number)
  return (endianness() === 'LE' ? bytes.toReversed() : bytes).map(hex).join('').toUpperCase()
}

export const neighbour = (address: string, mac: string, device: string, flags = '0x2'): string =>
  `${address.padEnd(16)} 0x1         ${flags}         ${mac}     *        ${device}\n`

export function entry(mac: string, port: number, isLocal: boolean): Buffer {
  const bytes = Buffer.alloc(16)
  Buffer.from(mac.replaceAll(':', ''), 'hex').copy(bytes)
  bytes.writeUInt8(port & 255, 6)
  bytes.writeUInt8(isLocal ? 1 : 0, 7)
  bytes.writeUInt8(port >> 8, 12)
  return bytes
}

function hostRoute6(device: string, address: string, flags = '00000001'): string {
  const [head = '', tail = ''] = address.split('::')
  const [left, right] = [head.split(':'), tail.split(':')]
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  const zero = '0'.repeat(32)
  return `${groups.map((group) => group.padStart(4, '0')).join('')} 80 ${zero} 00 ${zero} 00000400 00000001 00000000 ${flags} ${device.padStart(8)}`
}
