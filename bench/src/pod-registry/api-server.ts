// A process of its own: the fake API server with so many pods. Told `{ write: index }`, it writes one more and notes
// the moment in the pod's annotation (CLOCK_MONOTONIC, which all processes of a machine share).
import { createFakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import { typicalPod } from './typical-pod.ts'

const server = createFakeApiServer({ historyLimit: 1000 })
for (let index = 0; index < Number(process.argv[2] ?? 0); index += 1) server.apply(typicalPod(index))
for (let index = 0; index < 40; index += 1)
  server.apply({ kind: 'Namespace', metadata: { name: `team-${index}` } })
const { url } = await server.listen()

process.on('message', ({ write }: { write: number }) => {
  const pod = typicalPod(write)
  const annotations = { ...pod.metadata.annotations, written: `${process.hrtime.bigint()}` }
  server.apply({ ...pod, metadata: { ...pod.metadata, annotations } })
})
process.on('disconnect', () => process.exit(0))
process.send?.({ url })
