import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, expect, it } from 'vitest'
import { AGENT, ask, setUp, stopAll } from './test-capture.ts'

afterEach(stopAll)

/** Without the smaller monitor, as in an image that lacks `stdbuf`. */
const NFT_MONITOR = [
  ...['iptables', 'ip6tables'].flatMap((base) =>
    ['', '-save', '-restore'].map((verb) => `${base}-nft${verb}`),
  ),
  'nft',
  'conntrack',
  'ip',
]

it('repairs within two seconds what was flushed before the monitor had subscribed', async () => {
  const clock = createFakeClock()
  const { manager, netfilter, told } = setUp({}, { subscribed: () => clock.sleep(1_000) }, clock)
  await manager.start()
  await clock.advance(200)
  expect(told('capture-monitor-started')).toHaveLength(1)
  netfilter.run('iptables-nft', '-t', 'nat', '-F')
  await clock.advance(2_000)
  expect(netfilter.send(ask)).toEqual(AGENT)
})

it('looks by itself for as long as a monitor may need to subscribe, and then only when it is told', async () => {
  const { manager, clock, told } = setUp()
  await manager.start()
  await clock.advance(10_000)
  const looks = told('capture-looked').length
  expect(looks).toBeGreaterThan(3)
  await clock.advance(50_000)
  expect(told('capture-looked')).toHaveLength(looks)
})

it('looks by itself again after another monitor has taken over', async () => {
  const clock = createFakeClock()
  const { manager, netfilter } = setUp({}, { subscribed: () => clock.sleep(1_000) }, clock)
  await manager.start()
  await clock.advance(30_000)
  // xtables-monitor gives up when it is overrun, and nft monitor comes in its place.
  netfilter.faults.lostEvents = 1
  netfilter.run('iptables-nft', '-t', 'filter', '-F')
  await clock.advance(300)
  netfilter.run('iptables-nft', '-t', 'nat', '-F')
  await clock.advance(2_000)
  expect(netfilter.send(ask)).toEqual(AGENT)
})

it('looks at once when the monitor was overrun and cannot say what has changed', async () => {
  const { manager, netfilter, clock, told } = setUp({}, { programs: NFT_MONITOR })
  await manager.start()
  await clock.advance(30_000)
  expect(told('capture-monitor-started')).toEqual([
    { type: 'capture-monitor-started', program: 'nft monitor' },
  ])
  netfilter.faults.lostEvents = 1
  netfilter.run('iptables-nft', '-t', 'nat', '-F')
  await clock.advance(100)
  expect(netfilter.send(ask)).toEqual(AGENT)
})

it('does not say that a monitor has started which is not there', async () => {
  const { manager, clock, told } = setUp({}, { programs: NFT_MONITOR.filter((name) => name !== 'nft') })
  await manager.start()
  await clock.advance(1_000)
  expect(told('capture-monitor-started')).toEqual([])
  expect(told('capture-monitor-lost').length).toBeGreaterThan(0)
  expect(manager.status().monitored).toBe(false)
})

it('repairs within two seconds what was flushed of the routing policy before its monitor had subscribed', async () => {
  const clock = createFakeClock()
  const { manager, netfilter } = setUp(
    { backend: 'iptables-legacy', guardRouting: true },
    { subscribed: () => clock.sleep(1_000) },
    clock,
  )
  await manager.start()
  await clock.advance(200)
  netfilter.run('ip', 'rule', 'flush', 'protocol', '107')
  await clock.advance(2_000)
  expect(netfilter.run('ip', '-json', 'rule', 'show')).toContain('"107"')
})
