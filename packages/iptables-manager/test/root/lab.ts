import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createNamespace, ip } from './netns.ts'

const PEER = new URL('peer.ts', import.meta.url).pathname

export interface Client {
  /** What it printed so far: who answered, or an error's code. */
  readonly answers: readonly string[]
  stop(): Promise<void>
}

/**
 * A node as on EC2: pods behind a bridge, and the metadata service somewhere behind `eth0`, to which the node forwards.
 * All of it in namespaces made for this test.
 */
export interface Lab {
  readonly node: string
  readonly pod: string
  /** In the network behind `eth0`. */
  readonly vpc: string
  serve(namespace: string, host: string, port: number, words: string): Promise<void>
  /** `fresh` connects anew for each question, `keep` asks on one connection, `once` asks once. */
  ask(namespace: string, how: 'fresh' | 'keep' | 'once', host: string, port?: number): Client
  close(): Promise<void>
}

export function createLab(): Lab {
  const namespaces = ['node', 'pod', 'vpc'].map((purpose) => createNamespace(purpose))
  const [node = '', pod = '', vpc = ''] = namespaces.map(({ name }) => name)
  const children = new Set<ChildProcess>()
  const inNode = (...args: string[]): string => ip('-n', node, ...args)
  try {
    const id = randomBytes(3).toString('hex')
    for (const name of [node, pod, vpc]) ip('-n', name, 'link', 'set', 'lo', 'up')
    inNode('link', 'add', 'cni0', 'type', 'bridge')
    inNode('address', 'add', '10.9.0.1/24', 'dev', 'cni0')
    inNode('address', 'add', 'fd00:9::1/64', 'dev', 'cni0', 'nodad')
    inNode('link', 'set', 'cni0', 'up')
    inNode('link', 'add', `veth${id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod)
    inNode('link', 'set', `veth${id}`, 'master', 'cni0', 'up')
    ip('-n', pod, 'address', 'add', '10.9.0.7/24', 'dev', 'eth0')
    ip('-n', pod, 'address', 'add', 'fd00:9::7/64', 'dev', 'eth0', 'nodad')
    ip('-n', pod, 'link', 'set', 'eth0', 'up')
    ip('-n', pod, 'route', 'add', 'default', 'via', '10.9.0.1')
    ip('-n', pod, '-6', 'route', 'add', 'default', 'via', 'fd00:9::1')
    inNode('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', vpc)
    inNode('address', 'add', '10.8.0.2/24', 'dev', 'eth0')
    inNode('address', 'add', 'fd00:8::2/64', 'dev', 'eth0', 'nodad')
    inNode('link', 'set', 'eth0', 'up')
    ip('-n', vpc, 'address', 'add', '10.8.0.1/24', 'dev', 'eth0')
    ip('-n', vpc, 'address', 'add', 'fd00:8::1/64', 'dev', 'eth0', 'nodad')
    ip('-n', vpc, 'address', 'add', '169.254.169.254/32', 'dev', 'lo')
    ip('-n', vpc, 'address', 'add', 'fd00:ec2::254/128', 'dev', 'lo', 'nodad')
    ip('-n', vpc, 'link', 'set', 'eth0', 'up')
    ip('-n', vpc, 'route', 'add', 'default', 'via', '10.8.0.2')
    ip('-n', vpc, '-6', 'route', 'add', 'default', 'via', 'fd00:8::2')
    inNode('route', 'add', 'default', 'via', '10.8.0.1')
    inNode('-6', 'route', 'add', 'default', 'via', 'fd00:8::1')
    ip('netns', 'exec', node, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  } catch (error) {
    for (const { remove } of namespaces) remove()
    throw error
  }

  const start = (namespace: string, args: readonly string[]): ChildProcess => {
    const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, PEER, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] ?? '' },
    })
    children.add(child)
    return child
  }
  const stop = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    children.delete(child)
  }

  return {
    node,
    pod,
    vpc,
    async serve(namespace, host, port, words) {
      const child = start(namespace, ['serve', host, String(port), words])
      for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
        if (line === 'listening') return
        throw new Error(`${words} cannot listen on ${host}: ${line}`)
      }
    },
    ask(namespace, how, host, port = 80) {
      const child = start(namespace, [how, host, String(port)])
      const answers: string[] = []
      createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => answers.push(line))
      return { answers, stop: () => stop(child) }
    },
    async close() {
      await Promise.all([...children].map(stop))
      for (const { remove } of namespaces) remove()
    },
  }
}
