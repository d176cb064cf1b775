import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import {
  type IpAddress,
  type NamespaceRecord,
  type PodIdentity,
  parseIpAddress,
  systemClock,
} from '@kube2iam-ts/core'
import { aPod } from '@kube2iam-ts/core/testing'
import { type Attachments, createRegistry } from '@kube2iam-ts/pod-registry'
import { createScriptedFeed } from '@kube2iam-ts/pod-registry/testing'
import { createNodeDirectory } from '../../packages/pod-registry/test/node-directory.ts'
import { follow } from './pod-registry/follow.ts'
import { typicalAddress } from './pod-registry/typical-pod.ts'
import { type Figure, median, percentile, type Table } from './table.ts'

const MANY = 100_000
const WAKES = 1000
const PODS_OF_A_NODE = 110
// As the image starts the agent; the old space is left to Node, because a whole cluster of 100,000 pods is watched.
const AGENT_FLAGS = ['--max-semi-space-size=4', '--liftoff-only', '--no-maglev']

/** The registry's figures: lookup, memory, waking and the first list. */
export async function run(): Promise<Table> {
  return {
    title: 'pod-registry',
    figures: [
      ...(await lookupCost()),
      ...(await evidenceCost()),
      ...(await heapPerPod()),
      ...(await wakeLatency()),
      ...(await firstSync()),
    ],
    notes: [
      'The node’s evidence is read from files in a temporary directory as the kernel’s are; /proc and /sys cost more to open, and the tables are read at most ten times a second.',
      'Pods are about 4 kB of JSON each. The API server of the last two is a process of its own on the same machine.',
      'Waking is measured from the write in the API server to the waiter’s continuation, over HTTP on loopback.',
      `The process of the first list runs with ${AGENT_FLAGS.join(' ')}; its peak is VmHWM. About 15 MiB of it is Node’s own TypeScript loader, which a built agent does not have.`,
    ],
  }
}

async function lookupCost(): Promise<Figure[]> {
  const costs: number[] = []
  for (const count of [100, 10_000, MANY]) costs.push(await costOfLookup(count))
  const [few = 0, some = 0, many = 0] = costs
  return [
    { what: 'lookup at 100 pods', value: few, unit: 'ns' },
    { what: 'lookup at 10,000 pods', value: some, unit: 'ns' },
    { what: 'lookup at 100,000 pods', value: many, unit: 'ns' },
    {
      what: 'lookup, 100,000 against 100',
      value: many / few,
      unit: '×',
      against: 'the same work; only the processor’s caches miss more',
      aim: { atMost: 8 },
    },
  ]
}

async function costOfLookup(count: number, attachments?: Attachments): Promise<number> {
  const pods = createScriptedFeed<PodIdentity>()
  const namespaces = createScriptedFeed<NamespaceRecord>()
  const registry = createRegistry({
    pods,
    namespaces,
    clock: systemClock,
    ...(attachments && { attachments }),
  })
  registry.start()
  const addresses = Array.from({ length: count }, (_, index) => typicalAddress(index))
  pods.push({
    kind: 'snapshot',
    items: addresses.map((address, i) => aPod({ name: `p${i}`, addresses: [address] })),
  })
  namespaces.snapshot({ name: 'default', annotations: {} })
  await registry.synced()
  await new Promise((resolve) => setImmediate(resolve))
  // Addresses arrive from a socket: not the strings that the index holds.
  const asked = Array.from({ length: 1024 }, () => {
    const address = addresses[Math.floor(Math.random() * count)] ?? ''
    return parseIpAddress(Buffer.from(address).toString())
  })
  const cost = timeOf(asked, (address) => registry.lookup(address).kind === 'found')
  await registry.close()
  return cost
}

/** What the node's own word costs: on each lookup, when the tables are read again, and when a pod is bound. */
async function evidenceCost(): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [by, bridge] of [
    ['routes', false],
    ['a bridge', true],
  ] as const) {
    const addresses = Array.from({ length: PODS_OF_A_NODE }, (_, index) => typicalAddress(index))
    let later = 0
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + later }
    const node = createNodeDirectory({ bridge, addresses, clock })
    try {
      const cost = await costOfLookup(PODS_OF_A_NODE, node.attachments)
      figures.push({
        what: `lookup at ${PODS_OF_A_NODE} pods, with the node’s evidence by ${by}`,
        value: cost,
        unit: 'ns',
        aim: { atMost: 5000 },
      })
      const first = parseIpAddress(addresses[0] ?? '')
      const fresh: number[] = []
      for (let round = 0; round < 200; round += 1) {
        later += 101
        fresh.push(microsecondsOf(() => node.attachments.interfaceOf(first)))
      }
      figures.push({ what: `reading the tables of ${by} again`, value: median(fresh), unit: 'µs' })
      if (bridge) continue
      const looks = Array.from({ length: 50 }, () => microsecondsOf(() => node.attachments.interfaces()))
      figures.push({
        what: `a look at all interfaces of ${PODS_OF_A_NODE} pods`,
        value: median(looks),
        unit: 'µs',
      })
    } finally {
      node.close()
    }
  }
  return figures
}

function microsecondsOf(work: () => unknown): number {
  const startedAt = process.hrtime.bigint()
  if (work() === undefined) throw new Error('the node told nothing')
  return Number(process.hrtime.bigint() - startedAt) / 1000
}

/** Nanoseconds for one call: the best of many short rounds, because other work on the machine only ever adds. */
function timeOf(asked: readonly IpAddress[], lookup: (address: IpAddress) => boolean): number {
  const rounds: number[] = []
  for (let round = 0; round < 300; round += 1) {
    const startedAt = process.hrtime.bigint()
    let found = 0
    for (const address of asked) if (lookup(address)) found += 1
    if (found !== asked.length) throw new Error('a pod was not found')
    rounds.push(Number(process.hrtime.bigint() - startedAt) / asked.length)
  }
  return Math.min(...rounds.slice(50))
}

async function heapPerPod(): Promise<Figure[]> {
  const child = start('heap.ts', [`${MANY}`], ['--expose-gc', '--max-old-space-size=4096'])
  const [{ bytesPerPod, pods }] = (await once(child, 'message')) as [{ bytesPerPod: number; pods: number }]
  if (pods !== MANY) throw new Error(`${pods} pods instead of ${MANY}`)
  return [
    { what: 'heap per pod at 100,000 pods', value: Math.round(bytesPerPod), unit: 'B', aim: { atMost: 700 } },
  ]
}

async function wakeLatency(): Promise<Figure[]> {
  const server = await startServer(110)
  const { registry, close } = await follow(server.url)
  const samples: number[] = []
  for (let index = 0; index < WAKES + 100; index += 1) {
    const address = parseIpAddress(typicalAddress(500_000 + index))
    const deadline = systemClock.monotonic() + 5000
    const waiting = registry.waitFor(address, { deadline, signal: new AbortController().signal })
    server.child.send({ write: 500_000 + index })
    const lookup = await waiting
    const wokenAt = process.hrtime.bigint()
    if (lookup.kind !== 'found') throw new Error(`a waiter got ${lookup.kind}`)
    if (index >= 100) samples.push(Number(wokenAt - BigInt(lookup.pod.annotations['written'] ?? 0)) / 1e6)
    await systemClock.sleep(1)
  }
  await close()
  server.stop()
  return [
    { what: `event written to waiter woken, p50 of ${WAKES}`, value: median(samples), unit: 'ms' },
    {
      what: 'event written to waiter woken, p99',
      value: percentile(samples, 0.99),
      unit: 'ms',
      aim: { atMost: 5 },
    },
  ]
}

interface Synced {
  readonly ms: number
  readonly cpuMs: number
  readonly before: number
  readonly peakMiB: number
  readonly restMiB: number
  readonly pods: number
}

async function firstSync(): Promise<Figure[]> {
  const server = await startServer(MANY)
  const [synced] = (await once(
    start('first-sync.ts', [server.url], ['--expose-gc', ...AGENT_FLAGS]),
    'message',
  )) as [Synced]
  const receiver = start('first-sync.ts', [server.url, 'receive'], AGENT_FLAGS)
  const [received] = (await once(receiver, 'message')) as [{ cpuMs: number; bytes: number }]
  server.stop()
  if (synced.pods !== MANY) throw new Error(`${synced.pods} pods instead of ${MANY}`)
  const receiving = `receiving the ${Math.round(received.bytes / 2 ** 20)} MiB alone: ${(received.cpuMs / 1000).toFixed(1)} s`
  return [
    { what: 'first list of 100,000 pods, time passed', value: synced.ms / 1000, unit: 's' },
    { what: 'first list, processor time', value: synced.cpuMs / 1000, unit: 's', against: receiving },
    {
      what: 'first list against receiving alone',
      value: synced.cpuMs / received.cpuMs,
      unit: '×',
      against: 'processor time; parsing is most of it',
      aim: { atMost: 10 },
    },
    {
      what: 'peak resident memory of the first list',
      value: synced.peakMiB,
      unit: 'MiB',
      aim: { atMost: 200 },
      against: `${Math.round(synced.before)} MiB before it`,
    },
    { what: 'resident memory afterwards', value: synced.restMiB, unit: 'MiB' },
  ]
}

function start(file: string, args: readonly string[], execArgv: readonly string[] = []): ChildProcess {
  const path = fileURLToPath(new URL(`pod-registry/${file}`, import.meta.url))
  const child = fork(path, args, { execArgv: [...execArgv], env: { ...process.env, MALLOC_ARENA_MAX: '1' } })
  child.on('exit', (code) => {
    if (code !== 0 && code !== null) throw new Error(`${file} ended with ${code}`)
  })
  return child
}

async function startServer(pods: number): Promise<{ child: ChildProcess; url: string; stop: () => void }> {
  const child = start('api-server.ts', [`${pods}`], ['--max-old-space-size=4096'])
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  return { child, url, stop: () => child.disconnect() }
}
