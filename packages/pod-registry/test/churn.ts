// Run as a process: `node --expose-gc churn.ts HOURS`. A node with 110 pods on which pods come, move, finish and go,
// requests wait and give up, and the watch is lost in every way, on a clock that is moved. Prints the heap before and
// after as JSON.

import { parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { createRegistry } from '../src/index.ts'
import { createAddressConfirmation, createNamespaceFeed, createPodFeed } from '../src/kubernetes.ts'
import { createFakeApiServer, createFakeAttachments } from '../src/testing.ts'

const HOURS = Number(process.argv[2] ?? 1)
const PODS = 110
const random = createSeededRandom(Number(process.env['KUBE2IAM_SEED'] ?? 7))
const clock = createFakeClock(undefined, { settle: 'instant' })
const server = createFakeApiServer({ clock, historyLimit: 200, requestLimit: 100 })
const connection = server.connection()
const node = createFakeAttachments()
const common = { connection, clock, random, annotationKeys: ['role'] }
const registry = createRegistry({
  pods: createPodFeed({ ...common, node: 'node-1' }),
  namespaces: createNamespaceFeed(common),
  confirm: createAddressConfirmation({ connection, annotationKeys: ['role'], node: 'node-1' }),
  attachments: node,
  clock,
  report: ({ kind }) => {
    if (kind === 'feed-relisted') relists += 1
  },
})
let relists = 0
let writes = 0
let born = 0
const names: string[] = []
const pick = (count: number): number => Math.floor(random() * count)
const address = (): string => `10.0.0.${1 + pick(250)}`

function create(): void {
  born += 1
  const name = `pod-${born}`
  const podIP = address()
  names.push(name)
  node.attach(name, parseIpAddress(podIP))
  server.apply({
    kind: 'Pod',
    metadata: { name, namespace: 'default', annotations: { role: `role-${born % 20}` } },
    spec: { nodeName: 'node-1' },
    status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }] },
  })
}

function step(): void {
  writes += 1
  const name = names[pick(names.length)] ?? ''
  const pod = server.get('Pod', 'default', name)
  const chance = random()
  if (chance < 0.5 || pod === undefined) {
    names.splice(names.indexOf(name), 1)
    node.detach(name)
    if (pod !== undefined) server.delete('Pod', 'default', name)
    create()
  } else if (chance < 0.8) {
    node.detach(name)
    server.apply({ ...pod, status: { ...(pod['status'] as object), phase: 'Succeeded' } })
  } else server.apply({ ...pod, metadata: { ...pod.metadata, annotations: { role: `role-${pick(20)}` } } })
}

function ask(): void {
  const stop = new AbortController()
  const deadline = clock.monotonic() + 900
  const waiting = registry.waitFor(parseIpAddress(address()), { deadline, signal: stop.signal })
  if (random() < 0.3) stop.abort()
  void waiting.catch(() => undefined)
}

function disturb(): void {
  const { faults } = server
  faults.clear()
  const chance = random()
  if (chance < 0.3) faults.dropWatches()
  else if (chance < 0.5) faults.expireWatches()
  else if (chance < 0.7) faults.stallWatches = true
  else if (chance < 0.8) faults.reorderEvents = true
  else if (chance < 0.9) faults.duplicateEvents = true
  else faults.fail({ status: 500, count: 3 })
}

async function live(hours: number): Promise<void> {
  for (let second = 0; second < hours * 3600; second += 2) {
    step()
    ask()
    if (second % 600 === 0) disturb()
    await clock.advance(2000)
  }
  server.faults.clear()
  await clock.advance(600_000)
}

const heap = async (): Promise<number> => {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

for (let index = 0; index < PODS; index += 1) create()
registry.start()
await clock.advance(1000)
// The first hours fill what is bounded: histories, names of the dead, code that is compiled.
await live(3)
const before = await heap()
writes = 0
await live(HOURS)
const after = await heap()
const { pods } = registry.sizes()
await registry.close()
await server.close()
process.stdout.write(
  `${JSON.stringify({ hours: HOURS, before, after, pods, writes, relists, born, timersLeft: clock.pending })}\n`,
)
