import { parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { collectReports } from '@kube2iam-ts/core/testing'
import { afterEach, expect, test } from 'vitest'
import { createRegistry, type RegistryEvent } from '../src/index.ts'
import { connectToCluster, createNamespaceFeed, createPodFeed, loadCluster } from '../src/kubernetes.ts'
import { createFakeApiServer, type Manifest } from '../src/testing.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const pod = (name: string, ip: string, extra: object = {}): Manifest => ({
  kind: 'Pod',
  metadata: { name, namespace: 'team', annotations: { 'iam.amazonaws.com/role': 'app', noise: 'x' } },
  spec: { nodeName: 'node-1', containers: [{ name: 'main' }], ...extra },
  status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
})

test('a pod that is written to the API server is known by its address, with its namespace', async () => {
  const server = createFakeApiServer()
  closers.push(() => server.close())
  const { url } = await server.listen()
  server.apply({ kind: 'Namespace', metadata: { name: 'team', annotations: { allowed: '["app"]' } } })
  server.apply(pod('first', '127.44.0.1'))

  const connection = connectToCluster(await loadCluster({ kind: 'address', server: url }))
  closers.push(() => connection.close())
  const common = { connection, clock: systemClock, random: Math.random }
  const { events, report } = collectReports<RegistryEvent>()
  const registry = createRegistry({
    pods: createPodFeed({ ...common, node: 'node-1', annotationKeys: ['iam.amazonaws.com/role'] }),
    namespaces: createNamespaceFeed({ ...common, annotationKeys: ['allowed'] }),
    clock: systemClock,
    report,
  })
  closers.push(() => registry.close())
  registry.start()
  await registry.synced()

  expect(registry.lookup(parseIpAddress('127.44.0.1'))).toMatchObject({
    kind: 'found',
    pod: { namespace: 'team', name: 'first', annotations: { 'iam.amazonaws.com/role': 'app' } },
    namespace: { annotations: { allowed: '["app"]' } },
  })

  const late = parseIpAddress('127.44.0.2')
  expect(registry.lookup(late)).toEqual({ kind: 'unknown' })
  const deadline = systemClock.monotonic() + 30_000
  const waiting = registry.waitFor(late, { deadline, signal: new AbortController().signal })
  server.apply(pod('late', '127.44.0.2'))
  expect(await waiting).toMatchObject({ kind: 'found', pod: { name: 'late' } })

  server.delete('Pod', 'team', 'late')
  await expect.poll(() => registry.lookup(late)).toEqual({ kind: 'unknown' })
  expect(events.map(({ kind }) => kind)).toContain('feed-synced')
})
