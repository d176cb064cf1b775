import { systemClock } from '@kube2iam-ts/core'
import { createRegistry, type PodRegistry } from '@kube2iam-ts/pod-registry'
import {
  connectToCluster,
  createNamespaceFeed,
  createPodFeed,
  loadCluster,
} from '@kube2iam-ts/pod-registry/kubernetes'
import { ROLE_KEY } from './typical-pod.ts'

/** A registry that follows every pod of the server, as the agent makes it. */
export async function follow(url: string): Promise<{ registry: PodRegistry; close: () => Promise<void> }> {
  const connection = connectToCluster(await loadCluster({ kind: 'address', server: url }))
  const common = {
    connection,
    clock: systemClock,
    random: Math.random,
    annotationKeys: [ROLE_KEY, 'written'],
  }
  const registry = createRegistry({
    pods: createPodFeed(common),
    namespaces: createNamespaceFeed(common),
    clock: systemClock,
  })
  registry.start()
  await registry.synced()
  return {
    registry,
    async close() {
      await registry.close()
      await connection.close()
    },
  }
}
