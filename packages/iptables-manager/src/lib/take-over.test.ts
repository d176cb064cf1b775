import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeNetfilter } from './fake-netfilter.ts'
import { printStatus } from './print.ts'
import { AGENT, ask, setUp, stopAll } from './test-capture.ts'

afterEach(stopAll)

/** Long enough for every interval. */
const LONG = 1_000_000
const LATER = { fate: 'redirected', address: '10.0.0.1', port: 8282 }

/** Two agents in a roll-out with changed settings: each on a port of its own, on one node with one clock. */
async function rollOut(backend: 'iptables-nft' | 'iptables-legacy' | 'nft', later = backend) {
  const netfilter = createFakeNetfilter()
  const clock = createFakeClock()
  netfilter.listening.add('10.0.0.1:8181').add('10.0.0.1:8282')
  const old = setUp({ instance: 'old', backend }, netfilter, clock)
  await old.manager.start()
  await clock.advance(10_000)
  const fresh = setUp({ instance: 'new', backend: later, appPort: 8282 }, netfilter, clock)
  await fresh.manager.start()
  await clock.advance(5_000)
  const die = async (): Promise<void> => {
    netfilter.listening.delete('10.0.0.1:8282')
    await fresh.manager.stop()
  }
  return { netfilter, clock, old, fresh, die }
}

describe.each(['iptables-nft', 'iptables-legacy', 'nft'] as const)('a later instance, on %s', (backend) => {
  it('is yielded to while it listens, for as long as that is', async () => {
    const { netfilter, clock, old, fresh } = await rollOut(backend)
    await clock.advance(LONG)
    expect(netfilter.send(ask)).toEqual(LATER)
    expect(old.manager.status()).toMatchObject({
      state: 'yielded',
      yieldedTo: { instance: 'new', reached: 'answered' },
    })
    expect(fresh.manager.status().state).toBe('in-place')
    expect(old.told('capture-taken-over')).toEqual([])
    expect(fresh.told('capture-repaired')).toHaveLength(1)
  })

  it('is taken over from within seconds when it has died and nobody listens', async () => {
    const { netfilter, clock, old, die } = await rollOut(backend)
    await die()
    expect(netfilter.send(ask)).toEqual(LATER)
    await clock.advance(2_000)
    expect(old.manager.status()).toMatchObject({ state: 'yielded', yieldedTo: { reached: 'refused' } })
    expect(printStatus(old.manager.status())).toMatch(/^yielded to +new, which does not listen$/m)
    await clock.advance(8_000)
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(old.manager.status()).toMatchObject({ state: 'in-place' })
    expect(old.manager.status().yieldedTo).toBeUndefined()
    expect(old.told('capture-taken-over')).toEqual([{ type: 'capture-taken-over', instance: 'new' }])
  })

  it('has the say again when it was away for a moment only', async () => {
    const { netfilter, clock, old } = await rollOut(backend)
    for (let turn = 0; turn < 10; turn += 1) {
      netfilter.listening.delete('10.0.0.1:8282')
      await clock.advance(1_500)
      netfilter.listening.add('10.0.0.1:8282')
      await clock.advance(1_500)
    }
    expect(netfilter.send(ask)).toEqual(LATER)
    expect(old.told('capture-taken-over')).toEqual([])
  })

  it('gets its rules back by itself when it was taken for dead and lives', async () => {
    const { netfilter, clock, old } = await rollOut(backend)
    netfilter.listening.delete('10.0.0.1:8282')
    await clock.advance(6_000)
    expect(old.told('capture-taken-over').length).toBeGreaterThan(0)
    netfilter.listening.add('10.0.0.1:8282')
    await clock.advance(70_000)
    expect(netfilter.send(ask)).toEqual(LATER)
    const repairs = old.told('capture-repaired').length
    await clock.advance(LONG)
    expect(old.told('capture-repaired')).toHaveLength(repairs)
  })

  it('does not hold others for ever with a start that is still to come', async () => {
    const netfilter = createFakeNetfilter()
    netfilter.listening.add('10.0.0.1:8181').add('10.0.0.1:8282')
    const wrong = setUp(
      { instance: 'of-2030', backend, appPort: 8282 },
      netfilter,
      createFakeClock(new Date('2030-01-01T00:00:00Z')),
    )
    await wrong.manager.start()
    await wrong.manager.stop()
    const { manager } = setUp({ backend }, netfilter)
    await manager.start()
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(manager.status().state).toBe('in-place')
  })

  it('yields after the clock was corrected, although it started at a later time than the one after it', async () => {
    const netfilter = createFakeNetfilter()
    const clock = createFakeClock(new Date('2030-01-01T00:00:00Z'))
    netfilter.listening.add('10.0.0.1:8181').add('10.0.0.1:8282')
    const before = setUp({ instance: 'before', backend, appPort: 8282 }, netfilter, clock)
    await before.manager.start()
    await clock.advance(10_000)
    clock.jump(new Date('2026-01-01').getTime() - new Date('2030-01-01').getTime())
    const after = setUp({ instance: 'after', backend }, netfilter, clock)
    await after.manager.start()
    await clock.advance(LONG)
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(before.manager.status().state).toBe('yielded')
    expect(after.told('capture-repaired')).toHaveLength(1)
  })
})

describe.each([
  ['nft', 'iptables-nft'],
  ['iptables-nft', 'nft'],
  ['iptables-legacy', 'nft'],
  ['iptables-legacy', 'iptables-nft'],
] as const)('a later instance that uses another backend, after %s on %s', (backend, later) => {
  it('has the say without a fight, and is replaced when it has died', async () => {
    const { netfilter, clock, old, fresh, die } = await rollOut(backend, later)
    await clock.advance(LONG)
    expect(netfilter.send(ask)).toEqual(LATER)
    expect(old.told('capture-repaired').length + fresh.told('capture-repaired').length).toBeLessThan(5)
    await die()
    await clock.advance(320_000)
    expect(netfilter.send(ask)).toEqual(AGENT)
  })
})
