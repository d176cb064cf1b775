import type { NamespaceRecord, PodIdentity } from '@kube2iam-ts/core'
import { systemClock } from '@kube2iam-ts/core'
import { expect } from 'vitest'
import type { Feed } from '../src/index.ts'
import {
  type ClusterFeedOptions,
  connectToCluster,
  createNamespaceFeed,
  createPodFeed,
  loadCluster,
} from '../src/kubernetes.ts'
import { createFakeApiServer, createScriptedFeed, type FakeApiServer, type Manifest } from '../src/testing.ts'
import { type FeedItems, type FeedUnderTest, feedContract, NAMESPACES, PODS } from './feed.contract.ts'

function scripted<Item extends { readonly name: string }>(items: FeedItems<Item>): void {
  feedContract('scripted', items, async (given) => {
    const feed = createScriptedFeed<Item>()
    const now = new Map(given.map((item) => [item.name, item]))
    feed.snapshot(...given)
    return {
      feed,
      put(item) {
        now.set(item.name, item)
        feed.upsert(item)
      },
      remove(item) {
        feed.delete(now.get(item.name) ?? item)
        now.delete(item.name)
      },
      bookmark: () => feed.progress(),
      loseTouch: async () => feed.stale(),
      forget: async () => feed.snapshot(...now.values()),
      close: async () => {},
    }
  })
}
scripted(PODS)
scripted(NAMESPACES)

const podManifest = (pod: PodIdentity): Manifest => ({
  kind: 'Pod',
  metadata: {
    name: pod.name,
    namespace: pod.namespace,
    uid: pod.uid,
    creationTimestamp: pod.createdAt.toISOString().replace('.000', ''),
  },
  spec: { nodeName: pod.node, serviceAccountName: pod.serviceAccount },
  status: { phase: pod.phase, podIPs: pod.addresses.map((ip) => ({ ip })), podIP: pod.addresses[0] },
})

const namespaceManifest = ({ name, annotations }: NamespaceRecord): Manifest => ({
  kind: 'Namespace',
  metadata: { name, annotations },
})

interface Real<Item> {
  tls: boolean
  items: FeedItems<Item>
  manifest: (item: Item) => Manifest
  createFeed: (options: ClusterFeedOptions) => Feed<Item>
}

function real<Item extends { readonly name: string }>({
  tls,
  items,
  manifest,
  createFeed,
}: Real<Item>): void {
  const name = `the real one against an API server over ${tls ? 'HTTPS' : 'HTTP'}`
  feedContract(name, items, async (given): Promise<FeedUnderTest<Item>> => {
    const server = createFakeApiServer({ bookmarkEveryMs: 20, ...(tls && { tls: true }) })
    for (const { metadata } of server.list('Namespace')) server.delete('Namespace', undefined, metadata.name)
    for (const item of given) server.apply(manifest(item))
    const { url } = await server.listen()
    const connection = connectToCluster(await loadCluster({ kind: 'address', server: url, insecure: true }))
    const feed = createFeed({
      connection,
      clock: systemClock,
      random: Math.random,
      annotationKeys: ['roles'],
      backoff: { baseMs: 10, maxMs: 50 },
    })
    return {
      feed,
      put: (item) => void server.apply(manifest(item)),
      remove(item) {
        const { kind, metadata } = manifest(item)
        server.delete(kind, metadata.namespace, item.name)
      },
      bookmark: () => {},
      async loseTouch() {
        await watching(server)
        server.faults.dropWatches()
      },
      async forget() {
        await watching(server)
        server.faults.expireWatches()
      },
      async close() {
        await connection.close()
        await server.close()
      },
    }
  })
}

for (const tls of [false, true]) {
  real({
    tls,
    items: PODS,
    manifest: podManifest,
    createFeed: (options) => createPodFeed({ ...options, node: 'node-1' }),
  })
}
real({ tls: false, items: NAMESPACES, manifest: namespaceManifest, createFeed: createNamespaceFeed })

/** Both faults are of watches that are open: before the first list has led to one, they would do nothing. */
const watching = (server: FakeApiServer): Promise<void> =>
  expect.poll(() => server.watches, { interval: 2 }).toBe(1)
