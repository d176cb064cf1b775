import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { createFakeAttachments } from '../src/testing.ts'
import { attachmentsContract } from './attachments.contract.ts'
import { ip } from './following.ts'
import { createNodeDirectory, entry, neighbour, route } from './node-directory.ts'

attachmentsContract('fake', () => {
  const attachments = createFakeAttachments()
  return {
    attachments,
    attach: (name, ...addresses) => attachments.attach(name, ...addresses.map(ip)),
    detach: (name) => attachments.detach(name),
    settle: async () => {},
    close: () => {},
  }
})
attachmentsContract('files of a node with routes to pods', () => createNodeDirectory())
attachmentsContract('files of a node with a bridge', () => createNodeDirectory({ bridge: true }), {
  ipv6: false,
})

describe('the tables of a node', () => {
  let node: ReturnType<typeof createNodeDirectory>
  afterEach(() => node.close())
  const at = (address: string) => node.attachments.interfaceOf(ip(address))

  test('are read again after a tenth of a second, and not before', async () => {
    node = createNodeDirectory()
    const a = node.attach('vetha', '10.9.0.7')
    expect(at('10.9.0.7')).toBe(a)
    node.detach('vetha')
    const b = node.attach('vethb', '10.9.0.7')
    expect(at('10.9.0.7')).toBe(a)
    await node.settle()
    expect(at('10.9.0.7')).toBe(b)
  })

  test('that lead to pods of other nodes or to shared interfaces say nothing', () => {
    node = createNodeDirectory()
    // Calico's BGP, Cilium's one way for all pods, macvlan.
    node.more.routes.push(
      route('eth0', '10.9.1.0', 26, '10.8.0.9'),
      route('eth0', '10.9.1.7', 32, '10.8.0.9'),
      route('cilium_host', '10.9.2.0', 24),
    )
    node.attach('vetha', '10.9.0.7')
    expect(at('10.9.0.7')).toBeDefined()
    expect([at('10.9.1.8'), at('10.9.1.7'), at('10.9.2.7'), at('10.8.0.9'), at('192.0.2.7')]).toEqual(
      Array(5).fill(undefined),
    )
  })

  test('the route of least cost counts where there are two', () => {
    node = createNodeDirectory()
    node.attach('vetha', '10.9.0.7')
    node.more.routes.push(route('vethb', '10.9.0.8', 32, '0.0.0.0', 5))
    const b = node.attach('vethb')
    node.more.routes.push(route('vetha', '10.9.0.8', 32, '0.0.0.0', 9))
    node.write()
    expect(at('10.9.0.8')).toBe(b)
  })

  test('an own address of the node and an anycast address lead to nobody', () => {
    node = createNodeDirectory()
    node.attach('vetha', 'fd00:9::7')
    const zero = '0'.repeat(32)
    const line = (flags: string, address: string) =>
      `${address} 80 ${zero} 00 ${zero} 00000000 00000001 00000000 ${flags} eth0\n`
    writeFileSync(
      `${node.procNet}/ipv6_route`,
      line('80200001', 'fd000009000000000000000000000008') +
        line('00100001', 'fd000009000000000000000000000009'),
    )
    expect([at('fd00:9::8'), at('fd00:9::9')]).toEqual([undefined, undefined])
  })

  test('a neighbour that has not answered, or is on another device, is none', () => {
    node = createNodeDirectory({ bridge: true })
    node.more.arp.push(neighbour('10.9.0.8', '0a:58:00:00:00:65', 'cni0', '0x0'))
    node.more.arp.push(neighbour('10.9.0.9', '0a:58:00:00:00:65', 'eth0'))
    expect(node.attach('vetha', '10.9.0.7')).toBe(at('10.9.0.7'))
    expect([at('10.9.0.8'), at('10.9.0.9')]).toEqual([undefined, undefined])
  })

  test('a MAC address that was seen at two ports, in two VLANs, is at neither', async () => {
    node = createNodeDirectory({ bridge: true })
    node.attach('vetha', '10.9.0.7')
    expect(at('10.9.0.7')).toBeDefined()
    node.more.fdb.push(entry('0a:58:00:00:00:65', 9, false))
    node.write()
    await node.settle()
    expect(at('10.9.0.7')).toBeUndefined()
  })

  test('that are missing or may not be read say nothing, and nothing breaks', async () => {
    node = createNodeDirectory()
    node.attach('vetha', '10.9.0.7')
    expect(at('10.9.0.7')).toBeDefined()
    rmSync(node.procNet, { recursive: true })
    await node.settle()
    expect([at('10.9.0.7'), at('fd00:9::7')]).toEqual([undefined, undefined])
    rmSync(node.sysNet, { recursive: true })
    expect(node.attachments.interfaces()).toBeUndefined()
  })

  test.skipIf(process.getuid?.() === 0)(
    'one interface that may not be read makes the count worthless',
    () => {
      node = createNodeDirectory()
      chmodSync(`${node.sysNet}/eth0/ifindex`, 0)
      expect(node.attachments.interfaces()).toBeUndefined()
    },
  )
})
