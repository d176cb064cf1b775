import { type PodIdentity, parseBaseArn, parseIpAddress, Secret } from '@kube2iam-ts/core'
import { aNamespace, aPod, collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import type { Broker, BrokerAnswer } from '@kube2iam-ts/credential-broker'
import type { Lookup } from '@kube2iam-ts/pod-registry'
import { createPolicy } from '@kube2iam-ts/role-policy'
import { expect, test } from 'vitest'
import { createChanges } from './changes.ts'
import { type CredentialServiceEvent, createCredentialService } from './credential-service.ts'

const ADDRESS = parseIpAddress('10.4.0.7')
const ROLE = 'arn:aws:iam::123456789012:role/web'
const issued: BrokerAnswer = {
  kind: 'credentials',
  assumedRoleArn: 'arn:aws:sts::123456789012:assumed-role/web/x',
  credentials: {
    accessKeyId: 'ASIA',
    secretAccessKey: new Secret('s'),
    sessionToken: new Secret('t'),
    issuedAt: new Date(0),
    expiration: new Date(3_600_000),
  },
}

/** A service over one address whose holder can be changed, and a broker that answers when it is told to. */
function setUp(first: PodIdentity) {
  const clock = createFakeClock()
  const changes = createChanges(clock)
  const { events, report } = collectReports<CredentialServiceEvent>()
  let pod: PodIdentity | undefined = first
  let namespace: ReturnType<typeof aNamespace> | undefined = aNamespace()
  let during = (): void => {}
  const lookup = (): Lookup =>
    pod === undefined
      ? { kind: 'unknown' }
      : { kind: 'found', pod, boundAt: 0, namespace, serviceAccount: undefined }
  const broker: Pick<Broker, 'credentials'> = {
    credentials: async () => {
      during()
      return issued
    },
  }
  const service = createCredentialService({
    registry: { lookup, waitFor: async () => lookup(), isInDoubt: () => false },
    policy: (() => {
      const policy = createPolicy({
        base: parseBaseArn('arn:aws:iam::123456789012:role/'),
        namespaceRestrictions: 'enforce',
      })
      return () => policy
    })(),
    broker,
    changes,
    report,
    listed: () => false,
  })
  const patience = { signal: new AbortController().signal, deadline: clock.monotonic() + 900 }
  return {
    clock,
    changes,
    events,
    ask: () => service.credentialsFor(ADDRESS, 'web', patience),
    caller: () => service.callerAt(ADDRESS),
    hold: (next: PodIdentity | undefined) => {
      pod = next
    },
    setNamespace: (next: typeof namespace) => {
      namespace = next
    },
    whileAsking: (work: () => void) => {
      during = work
    },
  }
}

const web = aPod({ uid: 'a', annotations: { 'iam.amazonaws.com/role': ROLE } })
const allowed = aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': '["*"]' } })

test('answers the pod that holds the address', async () => {
  const it = setUp(web)
  it.setNamespace(allowed)
  expect(await it.ask()).toMatchObject({ kind: 'credentials', caller: { uid: 'a' } })
})

// jtblin/kube2iam#244, uswitch/kiam#499: the next pod at an address got the credentials of the one before.
test('answers nobody when the address is another pod’s by the time that there are credentials', async () => {
  const it = setUp(web)
  it.setNamespace(allowed)
  it.whileAsking(() => it.hold({ ...web, uid: 'b' }))
  expect(await it.ask()).toMatchObject({ kind: 'refused', code: 'pod-unknown', role: undefined })
  expect(it.events).toMatchObject([{ kind: 'moved', pod: { uid: 'a' } }])
})

test('answers nobody when the pod is gone by then', async () => {
  const it = setUp(web)
  it.setNamespace(allowed)
  it.whileAsking(() => it.hold(undefined))
  expect(await it.ask()).toMatchObject({ kind: 'refused', code: 'pod-unknown' })
})

test('waits for a namespace that is not known yet, and decides by it', async () => {
  const it = setUp(web)
  it.setNamespace(undefined)
  const asked = it.ask()
  await it.clock.advance(300)
  it.setNamespace(allowed)
  it.changes.notify()
  expect(await asked).toMatchObject({ kind: 'credentials' })
})

test('a namespace that stays unknown is neither permission nor refusal: not ready', async () => {
  const it = setUp(web)
  it.setNamespace(undefined)
  const asked = it.ask()
  await it.clock.advance(900)
  expect(await asked).toMatchObject({ kind: 'refused', code: 'not-ready' })
})

test('does not carry a decision on from one pod to the next at the address while it waits', async () => {
  const it = setUp(web)
  it.setNamespace(undefined)
  const asked = it.ask()
  await it.clock.advance(100)
  it.hold({ ...web, uid: 'b' })
  it.setNamespace(allowed)
  it.changes.notify()
  expect(await asked).toMatchObject({ kind: 'refused', code: 'pod-unknown' })
})

test('a grant that is remembered ends with the annotation that allowed it', async () => {
  const it = setUp(web)
  it.setNamespace(allowed)
  expect(await it.ask()).toMatchObject({ kind: 'credentials' })
  it.setNamespace(aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': '[]' } }))
  expect(await it.ask()).toMatchObject({ kind: 'refused', code: 'namespace-denied' })
})

test('what the namespace withdraws while STS is asked is not answered, whoever else shares the session', async () => {
  const it = setUp(web)
  it.setNamespace(allowed)
  it.whileAsking(() =>
    it.setNamespace(aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': '[]' } })),
  )
  expect(await it.ask()).toMatchObject({ kind: 'refused', code: 'namespace-denied' })
})

test('the emulator is told since when the pod has its network, in milliseconds as the other times', () => {
  expect(setUp({ ...web, sandboxSeconds: 1_767_225_600 }).caller()).toMatchObject({
    caller: { sandboxAt: Date.parse('2026-01-01T00:00:00Z') },
  })
  expect(setUp(web).caller()).toMatchObject({ caller: { sandboxAt: undefined } })
})
