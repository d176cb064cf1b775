import { parseIpAddress } from '@kube2iam-ts/core'
import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { unsignedToken } from './kubernetes/unsigned-token.ts'
import { createTestAgent, type TestAgent, type TestAgentOptions } from './test-agent.ts'

const LIST = '/latest/meta-data/iam/security-credentials/'
const ROLE = 'iam.amazonaws.com/role'
const POD = '10.4.0.7'
const TOKEN = unsignedToken({ uid: 'uid-of-web-0' })

let it: TestAgent
afterEach(async () => {
  await it.agent.stop('the test is over')
  expect(it.clock.pending).toBe(0)
})

/** An agent that listens and has been told of its pods. */
async function started(
  pods: Parameters<typeof aPod>[0][],
  options: TestAgentOptions = {},
): Promise<TestAgent> {
  it = createTestAgent(options)
  await it.agent.start()
  it.pods.snapshot(...pods.map((pod) => aPod({ addresses: [POD], ...pod })))
  it.namespaces.snapshot(aNamespace())
  await it.clock.advance(0)
  return it
}

const web = { name: 'web-0', annotations: { [ROLE]: 'web' } }

describe('start', () => {
  test('listens first: a request before the first snapshot waits for it and is answered', async () => {
    it = createTestAgent()
    await it.agent.start()
    const asked = it.ask(POD, LIST)
    await it.clock.advance(300)
    expect(it.agent.health().ready).toBe(false)
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(0)
    expect(await asked).toMatchObject({ status: 200, body: 'web' })
    expect(it.agent.health().ready).toBe(true)
  })

  test('a request that the first snapshot does not answer in time is told to come again', async () => {
    it = createTestAgent()
    await it.agent.start()
    const asked = it.ask(POD, LIST)
    await it.clock.advance(899)
    const late = Symbol('late')
    expect(await Promise.race([asked, Promise.resolve(late)])).toBe(late)
    await it.clock.advance(1)
    expect(await asked).toMatchObject({ status: 503, body: '' })
  })

  test('an address that cannot be had fails the start, and nothing is left open', async () => {
    it = createTestAgent()
    it.faults.listen = 'EADDRINUSE'
    await expect(it.agent.start()).rejects.toThrow('EADDRINUSE')
  })

  test('says once what is unwise', async () => {
    await started([])
    expect(it.lines('setting is unwise').map(({ setting }) => setting)).toEqual([
      '--metrics-port',
      '--bind-address',
      '--namespace-restrictions',
    ])
  })
})

describe('a session', () => {
  test('is there before the pod asks, and dropped when the pod goes', async () => {
    await started([web])
    await it.clock.advance(15_000)
    expect(it.sts.calls).toHaveLength(1)
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 200 })
    expect(it.sts.calls).toHaveLength(1)
    it.pods.delete(aPod({ ...web, addresses: [POD] }))
    await it.clock.advance(0)
    expect(it.lines('session dropped')).toMatchObject([{ reason: 'released' }])
    const asked = it.ask(POD, LIST)
    await it.clock.advance(900)
    expect(await asked).toMatchObject({ status: 503 })
  })

  test('is not fetched ahead for a role that the namespace forbids', async () => {
    it = createTestAgent({ args: ['--namespace-restrictions'] })
    await it.agent.start()
    it.namespaces.snapshot(aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': '["other"]' } }))
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    await it.clock.advance(60_000)
    expect(it.sts.calls).toEqual([])
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 404, body: '' })
    expect(it.events).toMatchObject([{ reason: 'RoleForbiddenByNamespace', subject: { name: 'web-0' } }])
  })

  test('is dropped when the namespace withdraws it, and fetched when it allows it again', async () => {
    it = createTestAgent({ args: ['--namespace-restrictions'] })
    const allowed = (roles: string) =>
      aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': roles } })
    await it.agent.start()
    it.namespaces.snapshot(allowed('["web"]'))
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    await it.clock.advance(15_000)
    expect(it.sts.calls).toHaveLength(1)
    it.namespaces.upsert(allowed('[]'))
    await it.clock.advance(0)
    expect(it.lines('session dropped')).toHaveLength(1)
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 404 })
    it.namespaces.upsert(allowed('["w*"]'))
    await it.clock.advance(15_000)
    expect(it.sts.calls).toHaveLength(2)
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 200 })
  })

  test('follows the annotation', async () => {
    await started([web])
    await it.clock.advance(15_000)
    it.pods.upsert(aPod({ ...web, addresses: [POD], annotations: { [ROLE]: 'other' } }))
    await it.clock.advance(15_000)
    expect(it.sts.calls.map(({ grant }) => grant.role.name)).toEqual(['web', 'other'])
    expect(await it.ask(POD, LIST)).toMatchObject({ body: 'other' })
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 404 })
  })

  test('is asked for by the pod itself with --prefetch=false', async () => {
    await started([web], { args: ['--prefetch=false'] })
    await it.clock.advance(60_000)
    expect(it.sts.calls).toEqual([])
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 200 })
    expect(it.sts.calls).toHaveLength(1)
  })

  test('that the pod asked for is never old when it asks again, with --prefetch=false', async () => {
    await started([web], { args: ['--prefetch=false'] })
    it.sts.latencyMs = 300
    for (const minutes of [0, 55, 45, 59]) {
      await it.clock.advance(minutes * 60_000)
      const asked = it.ask(POD, `${LIST}web`)
      await it.clock.advance(400)
      const { Expiration } = JSON.parse((await asked).body) as { Expiration: string }
      expect(Date.parse(Expiration) - it.clock.now()).toBeGreaterThanOrEqual(30 * 60_000)
    }
  })

  test('that pods share has a record for each of them: when it is issued, or when it is given one later', async () => {
    await started([web], { args: ['--session-scope=role'] })
    await it.clock.advance(15_000)
    it.pods.upsert(aPod({ name: 'b', addresses: ['10.4.0.8'], annotations: { [ROLE]: 'web' } }))
    await it.clock.advance(1_000)
    for (let time = 0; time < 2; time += 1) {
      expect(await it.ask('10.4.0.8', `${LIST}web`)).toMatchObject({ status: 200 })
    }
    expect(it.sts.calls).toHaveLength(1)
    const [first, second] = it.audit
    expect(it.audit).toHaveLength(2)
    expect(first).toMatchObject({ action: 'issued', reason: 'prefetch', pod: 'default/web-0' })
    expect(second).toEqual({
      ...first,
      reason: 'shared',
      pod: 'default/b',
      uid: 'uid-of-b',
      time: expect.any(String),
    })
    expect(it.lines('session shared')).toMatchObject([{ pods: ['default/b'] }])
  })

  test('of a pod whose address is another pod’s by the time STS answers is given to nobody', async () => {
    await started([web], { args: ['--prefetch=false'] })
    it.sts.latencyMs = 500
    const asked = it.ask(POD, `${LIST}web`)
    await it.clock.advance(100)
    it.pods.delete(aPod({ ...web, addresses: [POD] }))
    it.pods.upsert(aPod({ name: 'admin-0', addresses: [POD], annotations: { [ROLE]: 'admin' } }))
    await it.clock.advance(800)
    expect((await asked).status).toBe(503)
    expect((await asked).body).toBe('')
  })

  test('is not answered where the grant was withdrawn while STS was asked', async () => {
    it = createTestAgent({
      args: ['--session-scope=role', '--prefetch=false', '--namespace-restrictions'],
    })
    const allowed = (roles: string) =>
      aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': roles } })
    await it.agent.start()
    it.namespaces.snapshot(allowed('["web"]'))
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    await it.clock.advance(0)
    it.sts.latencyMs = 500
    const asked = it.ask(POD, `${LIST}web`)
    await it.clock.advance(100)
    it.namespaces.upsert(allowed('[]'))
    await it.clock.advance(400)
    expect(await asked).toMatchObject({ status: 404, body: '' })
    expect(it.sts.calls).toHaveLength(1)
  })

  test('that is another one by the time that STS answers is asked for instead', async () => {
    it = createTestAgent({ args: ['--session-scope=role', '--prefetch=false'] })
    await it.agent.start()
    it.namespaces.snapshot(aNamespace())
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    await it.clock.advance(0)
    it.sts.latencyMs = 300
    const asked = it.ask(POD, `${LIST}web`)
    await it.clock.advance(100)
    const EXTERNAL_ID = 'iam.amazonaws.com/external-id'
    it.pods.upsert(aPod({ ...web, addresses: [POD], annotations: { [ROLE]: 'web', [EXTERNAL_ID]: 'kiwi' } }))
    await it.clock.advance(500)
    expect(await asked).toMatchObject({ status: 200 })
    expect(it.sts.calls.map(({ grant }) => grant.externalId)).toEqual([undefined, 'kiwi'])
    const { AccessKeyId } = JSON.parse((await asked).body) as { AccessKeyId: string }
    const again = await it.ask(POD, `${LIST}web`)
    expect(JSON.parse(again.body)).toMatchObject({ AccessKeyId })
  })

  test.each([
    [[], 3600],
    [['--iam-role-session-ttl=15m'], 3600],
    [['--iam-role-session-ttl=45m'], 5400],
    [['--session-duration=15m'], 900],
    [['--session-duration=12h'], 43_200],
  ])('lasts, with %j, %d seconds', async (args, seconds) => {
    await started([web], { args })
    await it.clock.advance(15_000)
    expect(it.sts.calls[0]?.grant.durationSeconds).toBe(seconds)
  })
})

describe('short role names', () => {
  test('wait for the metadata service to say which account they mean', async () => {
    it = createTestAgent()
    it.instance.faults.slowMs = 500
    await it.agent.start()
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    it.namespaces.snapshot(aNamespace())
    const asked = it.ask(POD, LIST)
    await it.clock.advance(600)
    expect(await asked).toMatchObject({ status: 200, body: 'web' })
    await it.clock.advance(15_000)
    expect(it.sts.calls[0]?.grant.role.text).toBe('arn:aws:iam::123456789012:role/web')
  })

  test('are refused, with an event, where it does not say; and granted once it does', async () => {
    it = createTestAgent()
    it.instance.faults.down = true
    await it.agent.start()
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(5_000)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 404 })
    expect(it.events).toMatchObject([{ reason: 'RoleAnnotationIncomplete' }])
    expect(it.agent.health().ready).toBe(true)
    it.instance.faults.down = false
    await it.clock.advance(60_000)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'web' })
  })

  test('keep the agent from being ready where --auto-discover-base-arn insists', async () => {
    it = createTestAgent({ args: ['--auto-discover-base-arn'] })
    it.instance.faults.down = true
    await it.agent.start()
    it.pods.snapshot()
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(5_000)
    expect(it.agent.health()).toMatchObject({ ready: false })
    expect(it.agent.health().parts.find(({ name }) => name === 'discovery')?.reason).toMatch(
      /metadata service/,
    )
    it.instance.faults.down = false
    await it.clock.advance(60_000)
    expect(it.agent.health().ready).toBe(true)
  })

  test('the role of the node is the default role with --auto-discover-default-role', async () => {
    await started([{ name: 'plain' }], { args: ['--auto-discover-default-role'] })
    await it.clock.advance(15_000)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'node' })
  })

  test('are never looked up with --auto-discover-base-arn=false', async () => {
    await started([web], { args: ['--auto-discover-base-arn=false'] })
    await it.clock.advance(60_000)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 404 })
    expect(it.instance.requests.filter(({ target }) => target.includes('iam'))).toEqual([])
  })
})

describe('service accounts and namespaces', () => {
  test('give a role to pods that name none, by either annotation', async () => {
    it = createTestAgent({ args: ['--service-account-roles'] })
    await it.agent.start()
    it.pods.snapshot(aPod({ name: 'a', addresses: [POD], serviceAccount: 'sa' }))
    it.namespaces.snapshot(aNamespace())
    it.serviceAccounts.snapshot({
      namespace: 'default',
      name: 'sa',
      annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/by-account' },
    })
    await it.clock.advance(0)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'by-account' })
  })

  test('a namespace has a default role', async () => {
    it = createTestAgent()
    await it.agent.start()
    it.pods.snapshot(aPod({ name: 'a', addresses: [POD] }))
    it.namespaces.snapshot(aNamespace({ annotations: { 'iam.amazonaws.com/default-role': 'by-namespace' } }))
    await it.clock.advance(0)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'by-namespace' })
  })
})

describe('trouble with STS', () => {
  test('a refusal is a document that names role and pod, an event, an audit record and a metric', async () => {
    it = createTestAgent()
    it.sts.behave = () => ({ kind: 'fail', code: 'STS_DENIED', message: 'not authorized' })
    await it.agent.start()
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(1_000)
    const answer = await it.ask(POD, `${LIST}web`)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ Code: 'AssumeRoleUnauthorizedAccess' })
    expect(answer.body).not.toContain('not authorized')
    expect(it.events).toMatchObject([{ reason: 'AssumeRoleDenied', type: 'Warning' }])
    expect(it.audit).toMatchObject([{ action: 'sts-denied', pod: 'default/web-0' }])
    expect(await it.metrics()).toMatch(/kube2iam_sts_calls_total\{outcome="STS_DENIED",.*\} 1/)
  })

  test('a silent STS holds the request until the wait is over, and the agent serves the others', async () => {
    await started([web, { name: 'b', addresses: ['10.4.0.8'], annotations: { [ROLE]: 'b' } }], {
      args: ['--prefetch=false'],
    })
    it.sts.behave = (grant) => (grant.role.name === 'web' ? { kind: 'hang' } : { kind: 'issue' })
    const asked = it.ask(POD, `${LIST}web`)
    await it.clock.advance(10)
    expect(await it.ask('10.4.0.8', `${LIST}b`)).toMatchObject({ status: 200 })
    await it.clock.advance(900)
    expect(await asked).toMatchObject({ status: 503, body: '' })
  })

  test('an open circuit degrades and does not make unready', async () => {
    it = createTestAgent()
    it.sts.behave = () => ({ kind: 'fail', code: 'STS_UNAVAILABLE' })
    await it.agent.start()
    it.namespaces.snapshot(aNamespace())
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    let parts = it.agent.health().parts
    for (let step = 0; step < 600 && parts.every(({ name, ok }) => name !== 'sts' || ok); step += 1) {
      await it.clock.advance(100)
      parts = it.agent.health().parts
    }
    expect(parts.find(({ name }) => name === 'sts')).toMatchObject({ ok: false, required: false })
    expect(it.agent.health().ready).toBe(true)
  })
})

describe('events', () => {
  test('a pod that is refused ten thousand times makes one event and one line, and never waits for it', async () => {
    await started([{ name: 'bad', annotations: { [ROLE]: 'not a role' } }])
    it.faults.eventsHang = true
    for (let index = 0; index < 400; index += 1) expect((await it.ask(POD, LIST)).status).toBe(404)
    await it.clock.advance(60_000)
    expect(it.events).toHaveLength(1)
    expect(it.lines('role denied')).toHaveLength(1)
    expect(await it.metrics()).toContain('kube2iam_denials_total{code="annotation-invalid"} 400')
  })

  test('a host-network pod with a role is told that its address proves nothing', async () => {
    await started([{ ...web, hostNetwork: true }])
    expect(it.events).toMatchObject([
      { reason: 'HostNetworkHasNoRole', subject: { kind: 'Pod', name: 'web-0' } },
    ])
  })

  test('… once, however often its record changes, and again when it names another role', async () => {
    const told = () => it.lines('a host-network pod has a role that its address cannot prove').length
    const host = { ...web, hostNetwork: true, addresses: [POD] }
    await started([host])
    for (let index = 0; index < 20; index += 1) it.pods.upsert(aPod(host))
    await it.clock.advance(0)
    expect(told()).toBe(1)
    it.pods.upsert(aPod({ ...host, annotations: { [ROLE]: 'other' } }))
    await it.clock.advance(0)
    expect(told()).toBe(2)
  })

  test('none is written with --pod-events=false', async () => {
    await started([{ name: 'bad', annotations: { [ROLE]: '' } }], { args: ['--pod-events=false'] })
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 404 })
    expect(it.events).toEqual([])
    expect(it.lines('role denied')).toHaveLength(1)
  })
})

describe('the startup taint', () => {
  test('goes when the agent is ready, however often it takes', async () => {
    it = createTestAgent({ args: ['--node-taint=kube2iam.io/agent-not-ready:NoSchedule'] })
    it.faults.taintsFail = 2
    await it.agent.start()
    await it.clock.advance(10_000)
    expect(it.untainted).toEqual([])
    it.pods.snapshot()
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(60_000)
    expect(it.untainted).toEqual(['kube2iam.io/agent-not-ready'])
    expect(it.lines('startup taint could not be removed')).toHaveLength(2)
  })
})

describe('interception', () => {
  const args = ['--iptables', '--host-ip=10.0.3.17']

  test('is in place before the agent is ready, and repaired', async () => {
    await started([web], { args })
    await it.clock.advance(5_000)
    expect(it.agent.health()).toMatchObject({ ready: true })
    expect(it.agent.health().parts.find(({ name }) => name === 'interception')).toMatchObject({ ok: true })
  })

  test('with an address of each family, both metadata addresses lead to the agent', async () => {
    await started([web], { args: ['--iptables', '--host-ip=10.0.3.17,fd00::17'] })
    await it.clock.advance(5_000)
    expect(it.agent.health()).toMatchObject({ ready: true })
    expect(it.agent.health().parts).toContainEqual(
      expect.objectContaining({
        name: 'listening',
        reason: 'listening on 10.0.3.17:8181 and [fd00::17]:8181',
      }),
    )
    expect(it.lines('listening')).toMatchObject([
      { metadata: { host: '10.0.3.17', port: 8181, also: [{ host: 'fd00::17', port: 8181 }] } },
    ])
    const asked = { inInterface: 'cni0' }
    expect(it.netfilter.send({ ...asked, source: POD, destination: '169.254.169.254' })).toMatchObject({
      fate: 'redirected',
      address: '10.0.3.17',
    })
    expect(it.netfilter.send({ ...asked, source: 'fd00:4::7', destination: 'fd00:ec2::254' })).toMatchObject({
      fate: 'redirected',
      address: 'fd00::17',
    })
  })

  test('with the rules, the agent that comes has connections handed over to it, unless told not to', async () => {
    const path = '/proc/sys/net/ipv4/tcp_migrate_req'
    for (const [more, after] of [
      [['--iptables'], '1\n'],
      [['--iptables', '--migrate-requests=off'], '0\n'],
      [[], '0\n'],
    ] as const) {
      await it?.agent.stop('the next one')
      await started([web], { args: ['--host-ip=10.0.3.17', ...more], files: { [path]: '0\n' } })
      await it.clock.advance(1_000)
      expect(await it.netfilter.files.readText(path)).toBe(after)
      expect(it.lines('connections that wait to be accepted pass to the next agent')).toHaveLength(
        after === '1\n' ? 1 : 0,
      )
    }
  })

  test('a node without iptables is not ready, and says why', async () => {
    it = createTestAgent({ args })
    it.netfilter.faults.denied = 1_000
    await it.agent.start()
    it.pods.snapshot()
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(10_000)
    expect(it.agent.health().ready).toBe(false)
    expect(it.lines('requests of pods cannot be redirected').length).toBeGreaterThan(1)
    it.netfilter.faults.denied = 0
    await it.clock.advance(60_000)
    expect(it.agent.health().ready).toBe(true)
  })

  test('what cannot be listened on leaves alone what another agent has put in place', async () => {
    it = createTestAgent({ args: [...args, '--iptables-cleanup=always'] })
    it.faults.listen = 'EADDRINUSE'
    await expect(it.agent.start()).rejects.toThrow('EADDRINUSE')
    await it.agent.stop('it cannot listen')
    expect(it.netfilter.calls).toEqual([])
    expect(it.lines('redirection stays in place')).toHaveLength(1)
  })

  test('on stop, no connection is taken while the API server is asked whether the rules have to go', async () => {
    await started([web], { args: [...args, '--daemonset=kube-system/kube2iam'] })
    await it.clock.advance(5_000)
    it.faults.daemonSetHangs = true
    const stopped = it.agent.stop('SIGTERM')
    await it.clock.advance(0)
    await expect(it.ask(POD, LIST)).rejects.toThrow('nobody listens')
    await it.clock.advance(1_000)
    await stopped
    it.faults.daemonSetHangs = false
    expect(it.lines('redirection stays in place')).toMatchObject([
      { why: expect.stringContaining('cannot be told') },
    ])
  })

  test.each([
    [[], { kind: 'present', uid: 'd' } as const, 'redirection stays in place'],
    [
      ['--daemonset=kube-system/kube2iam'],
      { kind: 'present', uid: 'd' } as const,
      'redirection stays in place',
    ],
    [['--daemonset=kube-system/kube2iam'], { kind: 'absent' } as const, 'redirection is removed'],
    [['--daemonset=kube-system/kube2iam'], { kind: 'deleting', uid: 'd' } as const, 'redirection is removed'],
    [['--iptables-cleanup=always'], { kind: 'present', uid: 'd' } as const, 'redirection is removed'],
    [['--iptables-cleanup=never'], { kind: 'absent' } as const, 'redirection stays in place'],
  ])('on stop, with %j and a DaemonSet that is %j: %s', async (more, daemonSet, said) => {
    await started([web], { args: [...args, ...more] })
    await it.clock.advance(5_000)
    it.daemonSet = daemonSet
    await it.agent.stop('SIGTERM')
    expect(it.lines(said)).toHaveLength(1)
  })
})

describe('the container-credentials protocol', () => {
  const headers = { host: '169.254.170.23', authorization: TOKEN }
  const identity = (uid: string) => ({
    kind: 'service-account' as const,
    namespace: 'default',
    serviceAccount: 'default',
    pod: { name: 'x', uid },
    audiences: ['pods.eks.amazonaws.com'],
  })

  test('tells a host-network pod by its token', async () => {
    await started([{ ...web, hostNetwork: true }], { args: ['--container-credentials'] })
    it.tokens.set(TOKEN, identity('uid-of-web-0'))
    const answer = await it.ask('10.0.3.17', '/v1/credentials', { headers })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ RoleArn: 'arn:aws:iam::123456789012:role/web' })
    expect(it.events).toEqual([])
  })

  describe('a host-network pod', () => {
    const host = { ...web, addresses: ['10.0.3.17'], hostNetwork: true }
    const args = ['--container-credentials']
    const fetching = async (pods: Parameters<typeof aPod>[0][], more: string[] = []) => {
      await started(pods, { args: [...args, ...more] })
      it.tokens.set(TOKEN, identity('uid-of-web-0'))
      it.sts.latencyMs = 300
    }
    const askedRoles = () => it.sts.calls.map(({ grant }) => grant.role.name)
    /** Asks by its token and as long as SDKs wait; the minutes of life in the answer. */
    async function lifeMinutes(): Promise<number> {
      const asked = it.ask('10.0.3.17', '/v1/credentials', { headers })
      await it.clock.advance(900)
      const answer = await asked
      expect(answer.status).toBe(200)
      const { Expiration } = JSON.parse(answer.body) as { Expiration: string }
      return (Date.parse(Expiration) - it.clock.now()) / 60_000
    }

    test('finds its session ready and never old, as others do', async () => {
      await fetching([host])
      await it.clock.advance(15_000)
      expect(askedRoles()).toEqual(['web'])
      for (const minutes of [0, 45, 45, 59]) {
        await it.clock.advance(minutes * 60_000)
        expect(await lifeMinutes()).toBeGreaterThanOrEqual(30)
      }
    })

    test('has its session dropped at once, and the next one fetched, when its annotation changes', async () => {
      await fetching([host])
      await it.clock.advance(15_000)
      it.pods.upsert(aPod({ ...host, annotations: { [ROLE]: 'other' } }))
      await it.clock.advance(0)
      expect(it.lines('session dropped')).toMatchObject([{ reason: 'replaced' }])
      await it.clock.advance(15_000)
      expect(askedRoles()).toEqual(['web', 'other'])
    })

    test('has it dropped when its namespace allows it no more', async () => {
      const allowing = (roles: string) =>
        aNamespace({ annotations: { 'iam.amazonaws.com/allowed-roles': roles } })
      await fetching([host], ['--namespace-restrictions'])
      it.namespaces.upsert(allowing('["web"]'))
      await it.clock.advance(15_000)
      expect(askedRoles()).toEqual(['web'])
      it.namespaces.upsert(allowing('[]'))
      await it.clock.advance(0)
      expect(it.lines('session dropped')).toMatchObject([{ reason: 'released' }])
    })

    test('whose role is only a default has a session when it asks, kept fresh and dropped as others', async () => {
      await fetching([{ ...host, annotations: {} }], ['--default-role=any'])
      await it.clock.advance(60_000)
      expect(askedRoles()).toEqual([])
      expect(await lifeMinutes()).toBeGreaterThan(59)
      await it.clock.advance(45 * 60_000)
      expect(await lifeMinutes()).toBeGreaterThanOrEqual(30)
      it.pods.upsert(aPod(host))
      await it.clock.advance(15_000)
      expect(it.lines('session dropped')).toMatchObject([{ reason: 'replaced' }])
    })

    test('that has finished is not looked after, whatever becomes of its namespace', async () => {
      await fetching([{ ...host, phase: 'Succeeded' }])
      it.namespaces.upsert(aNamespace({ annotations: { changed: 'yes' } }))
      await it.clock.advance(60_000)
      expect(askedRoles()).toEqual([])
    })

    test('has nothing fetched for it where no token can name it', async () => {
      await started([host])
      await it.clock.advance(60_000)
      expect(askedRoles()).toEqual([])
    })
  })

  test('a token of a host-network pod that is not known yet waits for it', async () => {
    await started([], { args: ['--container-credentials'] })
    it.tokens.set(TOKEN, identity('uid-of-web-0'))
    const asked = it.ask('10.0.3.17', '/v1/credentials', { headers })
    await it.clock.advance(300)
    it.pods.upsert(aPod({ ...web, addresses: ['10.0.3.17'], hostNetwork: true }))
    await it.clock.advance(0)
    expect(await asked).toMatchObject({ status: 200 })
  })

  test('drops what a host-network pod got when it is gone', async () => {
    await started([{ ...web, hostNetwork: true }], { args: ['--container-credentials'] })
    it.tokens.set(TOKEN, identity('uid-of-web-0'))
    expect((await it.ask('10.0.3.17', '/v1/credentials', { headers })).status).toBe(200)
    it.pods.delete(aPod({ ...web, addresses: [POD], hostNetwork: true }))
    await it.clock.advance(0)
    expect(it.lines('session dropped')).toMatchObject([{ reason: 'released' }])
  })

  test('drops it when the pod names another role, and answers with that one', async () => {
    await started([{ ...web, hostNetwork: true }], { args: ['--container-credentials'] })
    it.tokens.set(TOKEN, identity('uid-of-web-0'))
    expect((await it.ask('10.0.3.17', '/v1/credentials', { headers })).status).toBe(200)
    it.pods.upsert(aPod({ ...web, addresses: [POD], hostNetwork: true, annotations: { [ROLE]: 'other' } }))
    await it.clock.advance(0)
    expect(it.lines('session dropped')).toMatchObject([{ reason: 'replaced' }])
    const answer = await it.ask('10.0.3.17', '/v1/credentials', { headers })
    expect(JSON.parse(answer.body)).toMatchObject({ RoleArn: 'arn:aws:iam::123456789012:role/other' })
  })

  test('refuses a token of another pod than the one at the address', async () => {
    await started([web, { name: 'b', addresses: ['10.4.0.8'] }], { args: ['--container-credentials'] })
    it.tokens.set(TOKEN, identity('uid-of-web-0'))
    expect(await it.ask('10.4.0.8', '/v1/credentials', { headers })).toMatchObject({ status: 403 })
    expect(await it.ask(POD, '/v1/credentials', { headers })).toMatchObject({ status: 200 })
  })

  test('refuses tokens that nobody vouches for, and those of pods that are gone', async () => {
    await started([web], { args: ['--container-credentials'] })
    expect(await it.ask(POD, '/v1/credentials', { headers })).toMatchObject({ status: 401 })
    const nobodys = unsignedToken({ uid: 'uid-of-nobody' })
    it.tokens.set(nobodys, identity('uid-of-nobody'))
    const asked = it.ask(POD, '/v1/credentials', { headers: { ...headers, authorization: nobodys } })
    await it.clock.advance(900)
    expect(await asked).toMatchObject({ status: 503 })
  })

  test('waits for the pod of a token as for the pod of an address', async () => {
    await started([], { args: ['--container-credentials'] })
    it.tokens.set(TOKEN, identity('uid-of-web-0'))
    const asked = it.ask(POD, '/v1/credentials', { headers })
    await it.clock.advance(300)
    it.pods.upsert(aPod({ ...web, addresses: [POD] }))
    await it.clock.advance(0)
    expect(await asked).toMatchObject({ status: 200 })
  })

  test.each(['169.254.170.23:80', '169.254.170.2', '[FD00:EC2::23]', '[fd00:ec2::23]:80'])(
    'is told by the host %s',
    async (host) => {
      await started([web], { args: ['--container-credentials'] })
      it.tokens.set(TOKEN, identity('uid-of-web-0'))
      const asked = it.ask(POD, '/v1/credentials', { headers: { ...headers, host } })
      expect(await asked).toMatchObject({ status: 200 })
    },
  )

  test('is not there unless asked for', async () => {
    await started([web])
    expect(await it.ask(POD, '/v1/credentials', { headers })).toMatchObject({ status: 404 })
  })
})

describe('the status port', () => {
  test('shares the port of pods unless it has its own, and tells pods little there', async () => {
    await started([web])
    expect(await it.ask(POD, '/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await it.ask(POD, '/readyz')).toMatchObject({ status: 200, body: 'ready\n' })
    expect((await it.ask(POD, '/metrics')).body).toContain('kube2iam_ready 1')
    expect(await it.ask(POD, '/debug/store')).toMatchObject({ status: 404 })
  })

  test('has everything on a port of its own, and leaves existing probes on the other', async () => {
    await started([web], { args: ['--metrics-port=9543', '--debug'] })
    expect(await it.ask(POD, '/healthz')).toMatchObject({ status: 200 })
    expect((await it.ask(POD, '/metrics')).status).toBe(404)
    const port = 9543
    expect((await it.ask(POD, '/metrics', { port })).body).toContain('kube2iam_info{')
    const ready = JSON.parse((await it.ask(POD, '/readyz', { port })).body) as { parts: unknown[] }
    expect(ready.parts.length).toBeGreaterThan(2)
    expect((await it.ask(POD, '/debug/store', { port })).status).toBe(403)
    const store = await it.ask('127.0.0.1', '/debug/store', { port })
    expect(JSON.parse(store.body)).toMatchObject({ pods: [{ name: 'web-0' }] })
    expect(store.body).not.toMatch(/secret-|token-/)
    expect((await it.ask(POD, '/nonsense', { port })).status).toBe(404)
    expect((await it.ask(POD, '/metrics', { port, method: 'POST' })).status).toBe(405)
  })

  test('/readyz is 503 with reasons while the API server is silent', async () => {
    it = createTestAgent({ args: ['--metrics-port=9543'] })
    await it.agent.start()
    const answer = await it.ask('127.0.0.1', '/readyz', { port: 9543 })
    expect(answer.status).toBe(503)
    expect(answer.body).toContain('API server')
  })
})

test('plain metadata is for pods and listed addresses, credentials for pods only', async () => {
  await started([web], { args: ['--allow-cidr=10.9.0.0/16', '--pod-wait=0s'] })
  const REGION = '/latest/meta-data/placement/region'
  expect(await it.ask('10.9.1.2', REGION)).toMatchObject({ status: 200 })
  const refused = [it.ask('10.9.1.2', LIST), it.ask('10.8.1.2', REGION)]
  await it.clock.advance(1)
  expect((await Promise.all(refused)).map(({ status }) => status)).toEqual([503, 403])
})

describe('an address that passed to another pod while touch with the API server was lost', () => {
  const other = { name: 'other-0', annotations: { [ROLE]: 'other' } }
  const out = async (args: string[]) => {
    await started([web], { args })
    it.pods.stale()
    await it.clock.advance(0)
    it.direct.pods = [aPod({ ...other, addresses: [POD] })]
  }

  test('is the other pod’s with --resolve-duplicate-cache-ips', async () => {
    await out(['--resolve-duplicate-cache-ips'])
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'other' })
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 404 })
    expect(await it.ask(POD, `${LIST}other`)).toMatchObject({ status: 200 })
    expect(it.direct.asked).toBe(1)
  })

  test('does not take the former pod’s token', async () => {
    await started([web], { args: ['--resolve-duplicate-cache-ips'] })
    const put = { method: 'PUT', headers: { tokenTtl: '300' } }
    const token = (await it.ask(POD, '/latest/api/token', put)).body
    expect((await it.ask(POD, LIST, { headers: { token } })).status).toBe(200)
    it.pods.stale()
    await it.clock.advance(0)
    it.direct.pods = [aPod({ ...other, addresses: [POD] })]
    expect((await it.ask(POD, LIST, { headers: { token } })).status).toBe(401)
  })

  test('is served to the pod that was there, as long as nobody can be asked', async () => {
    await out([])
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'web' })
    expect(it.direct.asked).toBe(0)
  })

  test('is the other pod’s for its container-credentials token too', async () => {
    await out(['--resolve-duplicate-cache-ips', '--container-credentials'])
    const pod = { name: 'web-0', uid: 'uid-of-web-0' }
    const audiences = ['pods.eks.amazonaws.com']
    it.tokens.set(TOKEN, {
      kind: 'service-account',
      namespace: 'default',
      serviceAccount: 'default',
      pod,
      audiences,
    })
    const headers = { host: '169.254.170.23', authorization: TOKEN }
    expect((await it.ask(POD, '/v1/credentials', { headers })).status).toBe(403)
  })
})

describe('an address that passed to another pod while the watch said nothing', () => {
  const other = { name: 'other-0', annotations: { [ROLE]: 'other' } }
  const moved = async (args: string[] = []) => {
    it = createTestAgent({ args })
    it.attachments.attach('veth-web', parseIpAddress(POD))
    await it.agent.start()
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }), aPod({ ...other, addresses: [] }))
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(0)
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'web' })
    it.attachments.detach('veth-web')
    it.attachments.attach('veth-other', parseIpAddress(POD))
  }
  const waited = async (asked: ReturnType<typeof it.ask>) => {
    await it.clock.advance(900)
    return asked
  }

  test('is the other pod’s as soon as the API server says so, and until then nobody’s', async () => {
    await moved()
    it.direct.pods = [aPod({ ...web, addresses: [POD] })]
    for (const path of [LIST, `${LIST}web`, '/latest/meta-data/iam/info']) {
      expect(await waited(it.ask(POD, path)), path).toMatchObject({ status: 503 })
    }
    expect(it.direct.asked).toBe(2)
    await it.clock.advance(1000)
    it.direct.pods = [aPod({ ...other, addresses: [POD] })]
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'other' })
    expect(await it.ask(POD, `${LIST}web`)).toMatchObject({ status: 404 })
    expect(it.direct.asked).toBe(3)
  })

  test('is told of: by a metric, once in a while by a line, and on the pod', async () => {
    await moved()
    it.direct.pods = [aPod({ ...web, addresses: [POD] })]
    for (let times = 0; times < 3; times += 1) await waited(it.ask(POD, LIST))
    expect(it.lines('address comes by a younger interface than its pod')).toMatchObject([
      { level: 'debug', interface: 'veth-other#2' },
      { level: 'warn', pod: 'default/web-0', interface: 'veth-other#2' },
    ])
    expect(it.events).toMatchObject([{ reason: 'AddressInDoubt', subject: { name: 'web-0' } }])
    expect(await it.metrics()).toMatch(/kube2iam_pod_in_doubt_total 4/)
    expect(await it.metrics()).toMatch(/kube2iam_requests_total\{.*outcome="pod-in-doubt"/)
  })

  test('does not take the former pod’s metadata token', async () => {
    it = createTestAgent()
    it.attachments.attach('veth-web', parseIpAddress(POD))
    await it.agent.start()
    it.pods.snapshot(aPod({ ...web, addresses: [POD] }))
    it.namespaces.snapshot(aNamespace())
    await it.clock.advance(0)
    const put = { method: 'PUT', headers: { tokenTtl: '300' } }
    const token = (await it.ask(POD, '/latest/api/token', put)).body
    expect((await it.ask(POD, LIST, { headers: { token } })).status).toBe(200)
    it.attachments.attach('veth-other', parseIpAddress(POD))
    it.direct.pods = [aPod({ ...other, addresses: [POD] })]
    expect((await it.ask(POD, LIST, { headers: { token } })).status).toBe(401)
  })

  test('is nobody’s for the former pod’s container-credentials token, and the other pod’s own is good', async () => {
    await moved(['--container-credentials'])
    it.direct.pods = [aPod({ ...web, addresses: [POD] })]
    const identity = { kind: 'service-account', namespace: 'default', serviceAccount: 'default' } as const
    const audiences = ['pods.eks.amazonaws.com']
    const others = unsignedToken({ uid: 'uid-of-other-0' })
    const named = (name: string) => ({ ...identity, pod: { name, uid: `uid-of-${name}` }, audiences })
    it.tokens.set(TOKEN, named('web-0')).set(others, named('other-0'))
    const ask = (authorization: string) =>
      waited(it.ask(POD, '/v1/credentials', { headers: { host: '169.254.170.23', authorization } }))
    expect(await ask(TOKEN)).toMatchObject({
      status: 503,
      body: expect.stringContaining('another pod’s by now'),
    })
    expect(await ask(others)).toMatchObject({ status: 200 })
    it.direct.pods = [aPod({ ...other, addresses: [POD] })]
    expect(await ask(TOKEN)).toMatchObject({ status: 403 })
    expect(await ask(others)).toMatchObject({ status: 200 })
  })

  test('is served to the pod that was there with --identity-evidence=none', async () => {
    await moved(['--identity-evidence=none'])
    expect(await it.ask(POD, LIST)).toMatchObject({ status: 200, body: 'web' })
    expect(it.direct.asked).toBe(0)
  })
})

test.each(['namespaces', 'pods'] as const)(
  'is not ready while nothing is heard of the %s, because nobody knows what they are now',
  async (silent) => {
    await started([web])
    expect(it.agent.health().ready).toBe(true)
    for (let minutes = 0; minutes < 6; minutes += 1) {
      await it.clock.advance(60_000)
      it[silent === 'pods' ? 'namespaces' : 'pods'].progress()
    }
    await it.clock.advance(0)
    expect(it.agent.health().ready).toBe(false)
    const watch = it.agent.health().parts.find(({ name }) => name === 'watch')
    expect(watch?.reason).toContain(`nothing was heard of the ${silent} for 360 s`)
    it[silent].progress()
    await it.clock.advance(0)
    expect(it.agent.health().ready).toBe(true)
  },
)

test('what cannot be closed keeps nothing else from being closed', async () => {
  await started([web])
  const close = it.instance.upstream.close.bind(it.instance.upstream)
  Object.assign(it.instance.upstream, { close: () => Promise.reject(new Error('stuck')) })
  await it.agent.stop('SIGTERM')
  expect(it.lines('stopped')).toHaveLength(1)
  expect(it.lines('something failed in a way that it may not')).toHaveLength(1)
  Object.assign(it.instance.upstream, { close })
})

test('the node’s own address is refused at once: nobody is missing there', async () => {
  await started([{ name: 'exporter', addresses: ['10.0.3.17'], hostNetwork: true }])
  for (const path of [LIST, `${LIST}web`, '/latest/meta-data/iam/info']) {
    expect(await it.ask('10.0.3.17', path)).toMatchObject({ status: 404, body: '' })
  }
  expect(await it.ask('10.0.3.17', '/latest/meta-data/placement/region')).toMatchObject({ status: 403 })
  expect(await it.metrics()).toMatch(/kube2iam_requests_total\{.*outcome="host-network"/)
  expect(await it.metrics()).toMatch(/pod_not_in_pod_cache 0/)
})

test('no secret is in any line, record, event or metric', async () => {
  await started([web])
  await it.clock.advance(15_000)
  const { body } = await it.ask(POD, `${LIST}web`)
  const { SecretAccessKey, Token } = JSON.parse(body) as Record<string, string>
  const said = JSON.stringify([it.log, it.audit, it.events]) + (await it.metrics())
  expect(said).not.toContain(SecretAccessKey)
  expect(said).not.toContain(Token)
  expect(it.audit).toMatchObject([{ action: 'issued', accessKeyId: expect.stringMatching(/^ASIA/) }])
})

test('audit records that could not be kept are a metric', async () => {
  await started([])
  expect(await it.metrics()).toMatch(/^kube2iam_audit_records_lost_total 0$/m)
  it.faults.auditLost = 14
  expect(await it.metrics()).toMatch(/^kube2iam_audit_records_lost_total 14$/m)
  expect(await it.metrics()).toMatch(/^kube2iam_audit_records_lost_total 14$/m)
})
