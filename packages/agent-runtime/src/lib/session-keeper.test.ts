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

/** A keeper between a registry on scripted feeds and a broker whose token service grants everything. */
async function keeping() {
  const clock = createFakeClock()
  const random = createSeededRandom(1)
  const pods = createScriptedFeed<PodIdentity>()
  const namespaces = createScriptedFeed<NamespaceRecord>()
  const registry = createRegistry({ pods, namespaces, clock })
  const tokenService = createFakeTokenService({ clock })
  const broker = createBroker({ tokenService, clock, random, report: ignoreReports })
  const policy = createPolicy({ base: parseBaseArn('arn:aws:iam::123456789012:role/') })
  const gone: string[] = []
  const keeper = createSessionKeeper({
    registry,
    policy: () => policy,
    broker,
    changes: createChanges(clock),
    report: ignoreReports,
    prefetch: true,
    onGone: ({ name }) => gone.push(name),
  })
  registry.start()
  namespaces.snapshot(aNamespace())
  return {
    pods,
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
