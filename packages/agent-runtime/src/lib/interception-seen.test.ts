import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createTestAgent } from './test-agent.ts'

test('that nobody has seen the rules work is in /readyz and in the metrics, until a pod’s connection is counted', async () => {
  const it = createTestAgent({ args: ['--iptables', '--host-ip=10.0.3.17', '--metrics-port=9543'] })
  await it.agent.start()
  it.namespaces.snapshot(aNamespace())
  it.pods.snapshot(aPod({ name: 'web-0', addresses: ['10.4.0.7'] }))
  await it.clock.advance(5_000)
  const seen = async () => {
    const { body } = await it.ask('127.0.0.1', '/readyz', { port: 9543 })
    const { ready, parts } = JSON.parse(body) as { ready: boolean; parts: { name: string; ok: boolean }[] }
    return { ready, part: parts.find(({ name }) => name === 'interception-seen') }
  }
  const METRIC = 'kube2iam_part_ok{part="interception-seen"}'
  expect(await seen()).toMatchObject({
    ready: true,
    part: { ok: false, required: false, reason: expect.stringMatching(/^unseen: /) },
  })
  expect(await it.metrics()).toContain(`${METRIC} 0`)

  it.netfilter.send({ source: '10.4.0.7', destination: '169.254.169.254', inInterface: 'cni0' })
  await it.clock.advance(120_000)
  expect(await seen()).toMatchObject({ ready: true, part: { ok: true } })
  expect(await it.metrics()).toContain(`${METRIC} 1`)
  await it.agent.stop('the test is over')
})

test('pods that the rules may never see are said in the log, in /readyz and in the metrics', async () => {
  const it = createTestAgent({
    args: ['--iptables', '--host-ip=10.0.3.17', '--host-interface=auto', '--metrics-port=9543'],
  })
  const apart = async () => {
    const { body } = await it.ask('127.0.0.1', '/readyz', { port: 9543 })
    const { parts } = JSON.parse(body) as { parts: { name: string; ok: boolean }[] }
    return parts.find(({ name }) => name === 'pods-apart')
  }
  await it.agent.start()
  it.namespaces.snapshot(aNamespace())
  it.pods.snapshot(aPod({ name: 'web-0', addresses: ['10.4.0.7'] }))
  await it.clock.advance(5_000)
  expect(await apart()).toMatchObject({ ok: true })

  it.pods.upsert(aPod({ name: 'macvlan-0', uid: 'uid-of-macvlan-0', addresses: ['10.4.0.9'] }))
  await it.clock.advance(5_000)
  expect(await apart()).toMatchObject({ ok: false, required: false })
  expect(it.lines('capture pods apart')).toMatchObject([{ pods: 1 }])
  expect(await it.metrics()).toContain('kube2iam_part_ok{part="pods-apart"} 0')
  await it.agent.stop('the test is over')
})

test('a kernel without policy routing is said in the log, in /readyz and in the metrics, and the agent is ready', async () => {
  const it = createTestAgent({
    args: ['--iptables', '--host-ip=10.0.3.17', '--metrics-port=9543'],
    netfilter: { policyRouting: false },
  })
  await it.agent.start()
  it.namespaces.snapshot(aNamespace())
  it.pods.snapshot(aPod({ name: 'web-0', addresses: ['10.4.0.7'] }))
  await it.clock.advance(5_000)
  const { body } = await it.ask('127.0.0.1', '/readyz', { port: 9543 })
  const { ready, parts } = JSON.parse(body) as { ready: boolean; parts: { name: string; ok: boolean }[] }
  expect(ready).toBe(true)
  expect(parts.find(({ name }) => name === 'routing-guard')).toMatchObject({
    ok: false,
    required: false,
    reason: expect.stringContaining('Operation not supported'),
  })
  expect(it.lines('capture routing guard unavailable')).toHaveLength(1)
  expect(await it.metrics()).toContain('kube2iam_part_ok{part="routing-guard"} 0')
  await it.agent.stop('the test is over')
})
