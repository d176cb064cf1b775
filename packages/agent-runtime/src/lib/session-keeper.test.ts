import { ignoreReports, type NamespaceRecord, type PodIdentity, parseBaseArn } from '@kube2iam-ts/core'
import { aNamespace, aPod, createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { createBroker } from '@kube2iam-ts/credential-broker'
import { createFakeTokenService } from '@kube2iam-ts/credential-broker/testing'
import { createRegistry } from '@kube2iam-ts/pod-registry'
import { createScriptedFeed } from '@kube2iam-ts/pod-registry/testing'
import { createPolicy } from '@kube2iam-ts/role-policy'
import { expect, test } from 'vitest'
import { createChanges } from './changes.ts'
import { ownerOf } from './credential-service.ts'
import { createSessionKeeper } from './session-keeper.ts'

const ALLOWED = 'iam.amazonaws.com/allowed-roles'

/** A keeper between a registry on scripted feeds and a broker whose token service grants everything. */
async function keeping() {
  const clock = createFakeClock()
  const random = createSeededRandom(1)
  const pods = createScriptedFeed<PodIdentity>()
  const namespaces = createScriptedFeed<NamespaceRecord>()
  const registry = createRegistry({ pods, namespaces, clock })
  const tokenService = createFakeTokenService({ clock })
  const broker = createBroker({ tokenService, clock, random, report: ignoreReports })
  const policy = createPolicy({
    base: parseBaseArn('arn:aws:iam::123456789012:role/'),
    namespaceRestrictions: 'enforce',
  })
  const gone: string[] = []
  const keeper = createSessionKeeper({
    registry,
    policy: () => policy,
    broker,
    changes: createChanges(clock),
    report: ignoreReports,
    prefetch: false,
    tokens: true,
    onGone: ({ name }) => gone.push(name),
  })
  registry.start()
  namespaces.snapshot(aNamespace({ annotations: { [ALLOWED]: '["*"]' } }))
  return {
    pods,
    namespaces,
    gone,
    settle: () => clock.advance(0),
    owners: () => broker.sessions().flatMap(({ owners }) => owners),
    /** What the container credentials endpoint does for the bearer of the pod's token. */
    async issueByToken(pod: PodIdentity) {
      const namespace = registry.namespace(pod.namespace)
      const request = { pod, namespace, serviceAccount: undefined, requested: undefined }
      const decision = policy.decide({ ...request, identifiedBy: 'token' })
      if (decision.kind !== 'granted') throw new Error(decision.kind)
      const { signal } = new AbortController()
      const deadline = clock.monotonic() + 5000
      const answer = await broker.credentials(decision.grant, { owner: ownerOf(pod), signal, deadline })
      expect(answer.kind).toBe('credentials')
    },
    async close() {
      keeper.close()
      await Promise.all([broker.close(), registry.close()])
      expect(clock.pending).toBe(0)
    },
  }
}

const annotations = { 'iam.amazonaws.com/role': 'exporter' }
const onHost = aPod({ name: 'exporter', uid: 'h', addresses: ['10.1.0.1'], hostNetwork: true, annotations })

test.each<[string, (pods: Awaited<ReturnType<typeof keeping>>['pods']) => void]>([
  ['is deleted', (pods) => pods.delete(onHost)],
  ['has finished', (pods) => pods.upsert({ ...onHost, phase: 'Failed' })],
  ['is missing from a list', (pods) => pods.snapshot()],
])('what a host-network pod got by its token is dropped when the pod %s', async (_, end) => {
  const { pods, gone, owners, settle, issueByToken, close } = await keeping()
  pods.snapshot(onHost)
  await settle()
  await issueByToken(onHost)
  expect(owners()).toEqual(['h'])
  end(pods)
  await settle()
  expect(owners()).toEqual([])
  expect(gone).toEqual(['exporter'])
  await close()
})

test.each<[string, (world: Awaited<ReturnType<typeof keeping>>) => void]>([
  [
    'names another role',
    ({ pods }) =>
      pods.upsert({ ...onHost, annotations: { ...annotations, 'iam.amazonaws.com/role': 'other' } }),
  ],
  ['names none any more', ({ pods }) => pods.upsert({ ...onHost, annotations: {} })],
  [
    'has another role in a list',
    ({ pods }) => pods.snapshot({ ...onHost, annotations: { 'iam.amazonaws.com/role': 'other' } }),
  ],
  [
    'is forbidden it by its namespace',
    ({ namespaces }) => namespaces.upsert(aNamespace({ annotations: { [ALLOWED]: '["none-*"]' } })),
  ],
])('it is dropped at once when the pod %s', async (_, change) => {
  const world = await keeping()
  world.pods.snapshot(onHost)
  await world.settle()
  await world.issueByToken(onHost)
  change(world)
  await world.settle()
  expect(world.owners()).toEqual([])
  expect(world.gone).toEqual([])
  await world.close()
})

test('it is kept while what changes has nothing to do with it, and nothing is fetched for who has not asked', async () => {
  const { pods, namespaces, owners, settle, issueByToken, close } = await keeping()
  const idle = { ...onHost, uid: 'i', name: 'idle' }
  pods.snapshot(onHost, idle)
  await settle()
  await issueByToken(onHost)
  for (const pod of [onHost, idle]) pods.upsert({ ...pod, deletedAt: new Date(0) })
  namespaces.upsert(aNamespace({ annotations: { [ALLOWED]: '["exporter"]' } }))
  await settle()
  expect(owners()).toEqual(['h'])
  await close()
})
