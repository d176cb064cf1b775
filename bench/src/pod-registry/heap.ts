// A process of its own with --expose-gc: what one pod costs in the heap, indexed.
import type { NamespaceRecord, PodIdentity } from '@kube2iam-ts/core'
import { systemClock } from '@kube2iam-ts/core'
import { createRegistry, type Feed } from '@kube2iam-ts/pod-registry'
import { podReducer } from '../../../packages/pod-registry/src/lib/from-kubernetes.ts'
import { ROLE_KEY, typicalPod } from './typical-pod.ts'

const count = Number(process.argv[2])
const heap = (): number => {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const reduce = podReducer([ROLE_KEY])
const uid = (index: number): string => `${index.toString(16).padStart(8, '0')}-aaaa-4bbb-8ccc-0123456789ab`
const whole = (index: number) => {
  const pod = typicalPod(index)
  const metadata = { ...pod.metadata, uid: uid(index), creationTimestamp: '2026-01-01T00:00:00Z' }
  return JSON.parse(JSON.stringify({ ...pod, metadata })) as unknown
}

const before = heap()
const pods: Feed<PodIdentity> = {
  async *events(signal) {
    yield {
      kind: 'snapshot',
      items: Array.from({ length: count }, (_, index) => reduce(whole(index)) as PodIdentity),
    }
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  },
}
const namespaces: Feed<NamespaceRecord> = {
  async *events() {
    yield { kind: 'snapshot', items: [] }
  },
}
const registry = createRegistry({ pods, namespaces, clock: systemClock })
registry.start()
await registry.synced()
await new Promise((resolve) => setImmediate(resolve))
const after = heap()
process.send?.({ bytesPerPod: (after - before) / count, pods: registry.sizes().pods })
await registry.close()
process.disconnect()
