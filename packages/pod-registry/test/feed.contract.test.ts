import type { PodIdentity } from '@kube2iam-ts/core'
import { systemClock } from '@kube2iam-ts/core'
import { expect } from 'vitest'
import { connectToCluster, createPodFeed, loadCluster } from '../src/kubernetes.ts'
import { createFakeApiServer, createScriptedFeed, type FakeApiServer, type Manifest } from '../src/testing.ts'
import { feedContract } from './feed.contract.ts'

feedContract('scripted', async (pods) => {
  const feed = createScriptedFeed<PodIdentity>()
  const now = new Map(pods.map((pod) => [pod.uid, pod]))
  feed.snapshot(...pods)
  return {
    feed,
    put(pod) {
      now.set(pod.uid, pod)
      feed.upsert(pod)
    },
    remove(pod) {
      feed.delete(now.get(pod.uid) ?? pod)
      now.delete(pod.uid)
    },
    bookmark: () => feed.progress(),
    loseTouch: async () => feed.stale(),
    forget: async () => feed.snapshot(...now.values()),
    close: async () => {},
  }
})

const manifest = (pod: PodIdentity): Manifest => ({
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

for (const tls of [false, true]) {
  feedContract(`the real one against an API server over ${tls ? 'HTTPS' : 'HTTP'}`, async (pods) => {
    const server: FakeApiServer = createFakeApiServer({ bookmarkEveryMs: 20, ...(tls && { tls: true }) })
    for (const pod of pods) server.apply(manifest(pod))
    const { url } = await server.listen()
    const connection = connectToCluster(await loadCluster({ kind: 'address', server: url, insecure: true }))
    const feed = createPodFeed({
      connection,
      clock: systemClock,
      random: Math.random,
      annotationKeys: [],
      node: 'node-1',
      backoff: { baseMs: 10, maxMs: 50 },
    })
    return {
      feed,
      put: (pod) => void server.apply(manifest(pod)),
      remove: (pod) => server.delete('Pod', pod.namespace, pod.name),
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

/** Both faults are of watches that are open: before the first list has led to one, they would do nothing. */
const watching = (server: FakeApiServer): Promise<void> =>
  expect.poll(() => server.watches, { interval: 2 }).toBe(1)
