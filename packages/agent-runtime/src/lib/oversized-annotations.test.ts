import { parseBaseArn, parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { createRegistry } from '@kube2iam-ts/pod-registry'
import {
  createNamespaceFeed,
  createPodFeed,
  createServiceAccountFeed,
} from '@kube2iam-ts/pod-registry/kubernetes'
import { createFakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import { createPolicy, type Decision } from '@kube2iam-ts/role-policy'
import { expect, test } from 'vitest'

const keys = {
  role: 'iam.amazonaws.com/role',
  serviceAccountRole: 'eks.amazonaws.com/role-arn',
  namespaceRole: 'iam.amazonaws.com/default-role',
  allowedRoles: 'iam.amazonaws.com/allowed-roles',
  permitted: 'iam.amazonaws.com/permitted',
  externalId: 'iam.amazonaws.com/external-id',
  sessionTags: 'iam.amazonaws.com/session-tags',
}

interface Written {
  readonly pod?: Record<string, string>
  readonly serviceAccount?: Record<string, string>
  readonly namespace?: Record<string, string>
}

/** What the policy decides about a pod whose objects have these annotations, from the API server's JSON on. */
async function decide({ pod = {}, serviceAccount = {}, namespace = {} }: Written): Promise<Decision> {
  const clock = createFakeClock(undefined, { settle: 'instant' })
  const server = createFakeApiServer({ clock })
  server.apply({ kind: 'Namespace', metadata: { name: 'team', annotations: namespace } })
  server.apply({
    kind: 'ServiceAccount',
    metadata: { namespace: 'team', name: 'default', annotations: serviceAccount },
  })
  server.apply({
    kind: 'Pod',
    metadata: { namespace: 'team', name: 'web', annotations: pod },
    spec: { nodeName: 'node-1' },
    status: { phase: 'Running', podIP: '10.0.0.7' },
  })
  const connection = server.connection()
  const common = { connection, clock, random: createSeededRandom(1), annotationKeys: Object.values(keys) }
  const registry = createRegistry({
    pods: createPodFeed({ ...common, node: 'node-1' }),
    namespaces: createNamespaceFeed(common),
    serviceAccounts: createServiceAccountFeed(common),
    clock,
  })
  registry.start()
  await clock.advance(0)
  const lookup = registry.lookup(parseIpAddress('10.0.0.7'))
  await registry.close()
  await server.close()
  if (lookup.kind !== 'found') throw new Error(lookup.kind)
  const base = parseBaseArn('arn:aws:iam::123456789012:role/')
  const isRestricted = keys.allowedRoles in namespace || keys.permitted in namespace
  const policy = createPolicy({
    base,
    annotations: keys,
    namespaceRestrictions: isRestricted ? 'enforce' : 'off',
    session: { tags: true },
  })
  await policy.prepare()
  return policy.decide({ ...lookup, requested: undefined })
}

const long = (length: number): string => 'a'.repeat(length)
const app = { [keys.role]: 'app' }

test.each<[string, Written, string]>([
  ['a role', { pod: { [keys.role]: `app/${long(250_000)}` } }, 'annotation-invalid'],
  [
    'a service account’s role',
    { serviceAccount: { [keys.serviceAccountRole]: long(250_000) } },
    'annotation-invalid',
  ],
  ['a namespace’s role', { namespace: { [keys.namespaceRole]: long(250_000) } }, 'annotation-invalid'],
  [
    'a namespace’s list of roles',
    { pod: app, namespace: { [keys.allowedRoles]: JSON.stringify(['app', long(250_000)]) } },
    'namespace-annotation-invalid',
  ],
  [
    'a namespace’s expression',
    { pod: app, namespace: { [keys.permitted]: `app|${long(250_000)}` } },
    'namespace-annotation-invalid',
  ],
  ['an external ID', { pod: { ...app, [keys.externalId]: long(250_000) } }, 'external-id-invalid'],
  [
    'session tags',
    { pod: { ...app, [keys.sessionTags]: JSON.stringify({ team: long(250_000) }) } },
    'session-invalid',
  ],
])('%s of 250 kB is a denial, and never what its beginning would mean', async (_, written, code) => {
  const decision = await decide(written)
  expect(decision).toMatchObject({ kind: 'denied', code })
  // What the registry keeps is read by the policy, not what was written.
  if (code === 'annotation-invalid' || code === 'external-id-invalid') {
    expect(decision).toMatchObject({ message: expect.stringContaining('longer than') })
  }
})

test('what is long and allowed is read: a namespace’s list of a thousand roles', async () => {
  const roles = Array.from(
    { length: 999 },
    (_, index) => `team/service-with-a-long-name-that-is-usual/role-${index}`,
  )
  const namespace = { [keys.allowedRoles]: JSON.stringify([...roles, 'app']) }
  expect(JSON.stringify(namespace).length).toBeGreaterThan(50_000)
  expect(await decide({ pod: app, namespace })).toMatchObject({ kind: 'granted', role: { name: 'app' } })
})
