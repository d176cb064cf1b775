import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Attachments } from '../../src/index.ts'
import { type AttachmentsWorld, attachmentsContract } from '../attachments.contract.ts'
import { ip as address } from '../following.ts'

// The adapter against the kernel: a node's namespace with a real bridge or real routes to pods, and pods' namespaces.

const ASK = new URL('ask-node.ts', import.meta.url).pathname
/** Accepted or refused, packets have gone both ways; anything else only says that a link is not quite up yet. */
const SAY = `(function say(left) {
  const socket = require('node:net').connect(9, '10.9.0.1')
  socket.on('connect', () => process.exit(0))
  socket.on('error', ({ code }) => {
    if (code === 'ECONNREFUSED') process.exit(0)
    if (left === 0) process.exit(1)
    setTimeout(say, 50, left - 1)
  })
})(200)`
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root: skipped'
  try {
    const name = add('check')
    ip('netns', 'delete', name)
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here: ${String(error)}`
  }
}

function add(purpose: string): string {
  const name = `k2im-${purpose}-${randomBytes(4).toString('hex')}`
  ip('netns', 'add', name)
  return name
}

type Kind = 'bridge' | 'ptp'

/** The adapter is asked in a process of its own inside the node, as an agent with `hostNetwork` is. */
function createNode(
  kind: Kind,
): AttachmentsWorld & { say(pod: string): void; namespaceOf(pod: string): string } {
  const node = add('node')
  const pods = new Map<string, { namespace: string; addresses: readonly string[] }>()
  const inNode = (...args: string[]): string => ip('-n', node, ...args)
  inNode('link', 'set', 'lo', 'up')
  if (kind === 'bridge') {
    // Of its own, as the bridge plugin does it: the kernel's choice changes with the ports, and takes the neighbours along.
    inNode('link', 'add', 'cni0', 'address', '02:00:00:00:00:01', 'type', 'bridge')
    inNode('address', 'add', '10.9.0.1/24', 'dev', 'cni0')
    inNode('link', 'set', 'cni0', 'up')
  }
  const asked = (...addresses: string[]): { found: (string | null)[]; interfaces: string[] } =>
    JSON.parse(
      execFileSync('ip', ['netns', 'exec', node, process.execPath, ASK, ...addresses], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '' },
      }),
    ) as never
  const attachments: Attachments = {
    interfaces: () => new Set(asked().interfaces),
    interfaceOf: (of) => asked(of).found[0] ?? undefined,
  }
  /** The pod's own first packet: what a bridge knows of it comes from there. */
  const say = (name: string): void => {
    const { namespace } = pods.get(name) ?? { namespace: '' }
    if (kind === 'bridge') ip('netns', 'exec', namespace, process.execPath, '-e', SAY)
  }

  return {
    attachments,
    say,
    namespaceOf: (name) => pods.get(name)?.namespace ?? '',
    attach(name, ...addresses) {
      const namespace = add('pod')
      pods.set(name, { namespace, addresses })
      inNode('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
      for (const of of addresses) {
        const prefix = of.includes(':') ? 128 : kind === 'bridge' ? 24 : 32
        ip(
          '-n',
          namespace,
          'address',
          'add',
          `${of}/${prefix}`,
          'dev',
          'eth0',
          ...(prefix === 128 ? ['nodad'] : []),
        )
      }
      // On a bridge a pod says only what it is told to say: no word of IPv6 moves its MAC address in between.
      if (kind === 'bridge') ip('-n', namespace, 'link', 'set', 'eth0', 'addrgenmode', 'none')
      ip('-n', namespace, 'link', 'set', 'eth0', 'up')
      inNode('link', 'set', name, ...(kind === 'bridge' ? ['master', 'cni0'] : []), 'up')
      if (kind === 'ptp') {
        for (const of of addresses)
          inNode(...(of.includes(':') ? ['-6'] : []), 'route', 'replace', of, 'dev', name, 'scope', 'link')
      } else if (addresses.length > 0) say(name)
      const index = (JSON.parse(inNode('-j', 'link', 'show', 'dev', name)) as { ifindex: number }[])[0]
        ?.ifindex
      return `${name}#${index}`
    },
    detach(name) {
      const { namespace } = pods.get(name) ?? { namespace: '' }
      pods.delete(name)
      // The CNI's DEL takes the interface away; the namespace alone may live on for a while.
      inNode('link', 'delete', name)
      ip('netns', 'delete', namespace)
    },
    settle: async () => {},
    close() {
      for (const { namespace } of pods.values()) ip('netns', 'delete', namespace)
      ip('netns', 'delete', node)
    },
  }
}

const reason = whyNot()
describe.skipIf(reason !== undefined)(`the kernel's own tables ${reason ?? ''}`, () => {
  attachmentsContract('a real bridge', () => createNode('bridge'), { ipv6: false })
  attachmentsContract('real routes to pods', () => createNode('ptp'))

  test('a MAC address that moves from port to port of a bridge is where it spoke last', () => {
    const node = createNode('bridge')
    try {
      const a = node.attach('vetha', '10.9.0.7')
      expect(node.attachments.interfaceOf(address('10.9.0.7'))).toBe(a)
      // Older bridge plugins derive the MAC address from the IP address: the next pod has the same.
      const b = node.attach('vethb')
      const [first, mine] = [node.namespaceOf('vetha'), node.namespaceOf('vethb')]
      const [link] = JSON.parse(ip('-n', first, '-j', 'link', 'show', 'dev', 'eth0')) as { address: string }[]
      ip('-n', mine, 'link', 'set', 'eth0', 'down')
      ip('-n', mine, 'link', 'set', 'eth0', 'address', link?.address ?? '')
      ip('-n', mine, 'address', 'add', '10.9.0.7/24', 'dev', 'eth0')
      ip('-n', mine, 'link', 'set', 'eth0', 'up')
      node.say('vethb')
      expect(node.attachments.interfaceOf(address('10.9.0.7'))).toBe(b)
    } finally {
      node.close()
    }
  })
})
