import { parseIpAddress } from '@kube2iam-ts/core'
import { collectReports, createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { type CaptureManager, createCaptureManager } from './capture-manager.ts'
import type { CaptureEvent } from './events.ts'
import { createFakeNetfilter, type FakeNetfilter } from './fake-netfilter.ts'
import type { CaptureSettings } from './settings.ts'
import { parseHostInterface } from './settings.ts'

const ask = { source: '10.1.0.7', destination: '169.254.169.254', inInterface: 'cni0' }
const managers: CaptureManager[] = []

function setUp(settings: Partial<CaptureSettings> = {}, netfilter: FakeNetfilter = createFakeNetfilter()) {
  const clock = createFakeClock()
  const { report, events } = collectReports<CaptureEvent>()
  const manager = createCaptureManager({
    settings: {
      instance: 'agent-1',
      hostIps: [parseIpAddress('10.0.0.1')],
      appPort: 8181,
      hostInterface: parseHostInterface('cni0'),
      backend: 'iptables-nft',
      ...settings,
    },
    runner: netfilter.runner,
    files: netfilter.files,
    clock,
    random: createSeededRandom(1),
    report,
  })
  managers.push(manager)
  return { manager, netfilter, clock, events }
}

afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.stop()))
})

describe.each(['iptables-nft', 'iptables-legacy', 'nft'] as const)('on %s', (backend) => {
  it('leads pods to the agent when start resolves', async () => {
    const { manager, netfilter } = setUp({ backend })
    expect(netfilter.send(ask)).toEqual({ fate: 'delivered' })
    await manager.start()
    expect(netfilter.send(ask)).toEqual({ fate: 'redirected', address: '10.0.0.1', port: 8181 })
    expect(manager.status()).toMatchObject({
      state: 'in-place',
      backend,
      families: { 4: 'redirected', 6: 'dropped' },
    })
  })

  it('blocks until the redirect is there', async () => {
    const { manager, netfilter } = setUp({ backend })
    await manager.installBlock()
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    const fates = new Set<string>()
    netfilter.onChange(() => fates.add(netfilter.send(ask).fate))
    await manager.start()
    expect(netfilter.send(ask).fate).toBe('redirected')
    expect(fates).not.toContain('delivered')
  })

  it('keeps the rules when it stops and takes them away when asked', async () => {
    const { manager, netfilter } = setUp({ backend })
    await manager.start()
    await manager.stop()
    expect(netfilter.send(ask).fate).toBe('redirected')
    await manager.remove()
    expect(netfilter.send(ask)).toEqual({ fate: 'delivered' })
    expect(manager.status().state).toBe('removed')
  })
})

it('repairs a flushed nat table, and no packet slips through meanwhile', async () => {
  const { manager, netfilter, clock, events } = setUp()
  await manager.start()
  await clock.advance(100)
  netfilter.run('iptables-nft', '-t', 'nat', '-F')
  expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
  await clock.advance(2_000)
  expect(netfilter.send(ask).fate).toBe('redirected')
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'capture-repaired', reason: 'monitor', changedBy: 'iptables-nft' }),
  )
})
