import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Attachments } from '../src/index.ts'
import { ip } from './following.ts'

/** A node in which a CNI can be played. */
export interface AttachmentsWorld {
  readonly attachments: Attachments
  /** Makes an interface and leads the addresses to it. Gives its name and index. */
  attach(name: string, ...addresses: string[]): string
  detach(name: string): void
  /** What was kept from an earlier look has had its time. */
  settle(): Promise<void>
  close(): void
}

/** What every source of evidence has to do. */
export function attachmentsContract(
  name: string,
  begin: () => AttachmentsWorld,
  { ipv6 = true }: { ipv6?: boolean } = {},
): void {
  describe(`evidence of the node: ${name}`, () => {
    let world: AttachmentsWorld
    beforeEach(() => {
      world = begin()
    })
    afterEach(() => world.close())

    test('an address comes by the interface that was made for it, which is among all', () => {
      const a = world.attach('vetha', '10.9.0.7')
      const b = world.attach('vethb', '10.9.0.8')
      expect(world.attachments.interfaceOf(ip('10.9.0.7'))).toBe(a)
      expect(world.attachments.interfaceOf(ip('10.9.0.8'))).toBe(b)
      expect([...(world.attachments.interfaces() ?? [])]).toEqual(expect.arrayContaining([a, b]))
    })

    test('an address that nobody has comes by none', () => {
      world.attach('vetha', '10.9.0.7')
      expect(world.attachments.interfaceOf(ip('10.9.0.9'))).toBeUndefined()
      expect(world.attachments.interfaceOf(ip('192.0.2.1'))).toBeUndefined()
    })

    test('an address that moves comes by the other interface', async () => {
      world.attach('vetha', '10.9.0.7')
      world.attachments.interfaceOf(ip('10.9.0.7'))
      world.detach('vetha')
      const b = world.attach('vethb', '10.9.0.7')
      await world.settle()
      expect(world.attachments.interfaceOf(ip('10.9.0.7'))).toBe(b)
      expect(world.attachments.interfaces()?.has(b)).toBe(true)
    })

    test('an interface that is made anew under its name is another one', async () => {
      const first = world.attach('vetha', '10.9.0.7')
      world.detach('vetha')
      expect(world.attachments.interfaces()?.has(first)).toBe(false)
      const second = world.attach('vetha', '10.9.0.7')
      await world.settle()
      expect(second).not.toBe(first)
      expect(world.attachments.interfaceOf(ip('10.9.0.7'))).toBe(second)
    })

    test('an address whose interface is gone comes by none', async () => {
      world.attach('vetha', '10.9.0.7')
      world.attachments.interfaceOf(ip('10.9.0.7'))
      world.detach('vetha')
      await world.settle()
      expect(world.attachments.interfaceOf(ip('10.9.0.7'))).toBeUndefined()
    })

    test('what becomes known is known at once: the first packet of a pod may be its request', () => {
      world.attach('vetha', '10.9.0.7')
      world.attachments.interfaceOf(ip('10.9.0.7'))
      expect(world.attachments.interfaceOf(ip('10.9.0.8'))).toBeUndefined()
      const b = world.attach('vethb', '10.9.0.8')
      expect(world.attachments.interfaceOf(ip('10.9.0.8'))).toBe(b)
    })

    test.skipIf(!ipv6)('IPv6 and IPv4 of one pod come by one interface', () => {
      const a = world.attach('vetha', '10.9.0.7', 'fd00:9::7')
      expect(world.attachments.interfaceOf(ip('fd00:9::7'))).toBe(a)
      expect(world.attachments.interfaceOf(ip('10.9.0.7'))).toBe(a)
      expect(world.attachments.interfaceOf(ip('fd00:9::8'))).toBeUndefined()
    })
  })
}
