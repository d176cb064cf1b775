// A process of its own: what the first list takes and costs at its peak; or, for comparison, what it takes to receive
// the same bytes and throw them away.
import { readFileSync } from 'node:fs'
import { connectToCluster, loadCluster } from '@kube2iam-ts/pod-registry/kubernetes'
import { follow } from './follow.ts'

/** Processor time, which other work on the machine does not add to as it does to the time that passes. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const [, , url = '', mode = 'sync'] = process.argv
const peakMiB = (): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024

if (mode === 'receive') {
  const connection = connectToCluster(await loadCluster({ kind: 'address', server: url }))
  const cpuBefore = cpuMs()
  let bytes = 0
  let next = ''
  do {
    const path = `/api/v1/pods?limit=500${next === '' ? '' : `&continue=${next}`}`
    const { body } = await connection.request({ method: 'GET', path })
    let head = ''
    for await (const chunk of body) {
      bytes += chunk.length
      if (head.length < 500) head += Buffer.from(chunk.subarray(0, 500)).toString('latin1')
    }
    next = /"continue":"([^"]+)"/.exec(head)?.[1] ?? ''
  } while (next !== '')
  process.send?.({ cpuMs: cpuMs() - cpuBefore, bytes })
  await connection.close()
} else {
  const before = peakMiB()
  const cpuBefore = cpuMs()
  const startedAt = performance.now()
  const { registry, close } = await follow(url)
  const ms = performance.now() - startedAt
  const cpu = cpuMs() - cpuBefore
  const peak = peakMiB()
  const pods = registry.sizes().pods
  globalThis.gc?.()
  process.send?.({
    ms,
    cpuMs: cpu,
    before,
    peakMiB: peak,
    pods,
    restMiB: process.memoryUsage().rss / 2 ** 20,
  })
  await close()
}
process.disconnect()
