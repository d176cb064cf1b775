import { afterEach, describe, expect, it } from 'vitest'
import { createFakeNetfilter, type FakeNetfilter, type FakeNetfilterOptions } from './fake-netfilter.ts'
import { printPlan, printStatus } from './print.ts'
import type { CaptureSettings } from './settings.ts'
import { AGENT, ask, ask6, setUp as setUpCapture, stopAll } from './test-capture.ts'

const node = { source: '10.0.0.1', destination: '169.254.169.254', inInterface: 'lo' }

/** With the guard in the routing policy, and the backend found out unless told. */
const setUp = (settings: Partial<CaptureSettings> = {}, node?: FakeNetfilterOptions | FakeNetfilter) =>
  setUpCapture({ backend: 'auto', guardRouting: true, ...settings }, node)
const rulesOf = ({ netfilter }: { netfilter: FakeNetfilter }): string =>
  netfilter.run('ip', '-json', 'rule', 'show') + netfilter.run('ip', '-json', '-6', 'rule', 'show')
const flushAll = ({ netfilter }: { netfilter: FakeNetfilter }): void => {
  netfilter.run('nft', 'flush', 'ruleset')
  for (const base of ['iptables', 'ip6tables'])
    for (const table of ['nat', 'mangle']) netfilter.run(`${base}-legacy`, '-t', table, '-F')
}

afterEach(stopAll)

describe.each(['iptables-nft', 'iptables-legacy', 'nft'] as const)('on %s', (backend) => {
  it('keeps the way shut when nothing is left in netfilter, for both families and not for the node', async () => {
    const { netfilter, manager } = setUp({ backend })
    await manager.start()
    expect(netfilter.send(ask)).toEqual(AGENT)
    await manager.stop()
    flushAll({ netfilter })
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
    expect(netfilter.send(node)).toEqual({ fate: 'delivered' })
    expect(netfilter.send({ ...ask, destination: '10.96.0.1' })).toEqual({ fate: 'delivered' })
  })

  it('never opens the way while netfilter is flushed again and again', async () => {
    const set = setUp({ backend })
    await set.manager.start()
    const fates = new Set<string>()
    set.netfilter.onChange(() => fates.add(set.netfilter.send(ask).fate))
    for (let round = 0; round < 8; round += 1) {
      flushAll(set)
      await set.clock.advance(2_500)
      expect(set.netfilter.send(ask)).toEqual(AGENT)
    }
    expect(fates).not.toContain('delivered')
  })

  it('is part of the block, and the block takes none away', async () => {
    const { netfilter, manager } = setUp({ backend })
    await manager.installBlock()
    flushAll({ netfilter })
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    await setUp({ backend, containerCredentials: true }, netfilter).manager.start()
    await setUp({ backend }, netfilter).manager.installBlock()
    flushAll({ netfilter })
    expect(netfilter.send({ ...ask, destination: '169.254.170.23' })).toEqual({ fate: 'dropped' })
  })

  it('goes when everything goes, and takes nobody else’s along', async () => {
    const set = setUp({ backend })
    set.netfilter.run(
      'ip',
      'rule',
      'add',
      'pref',
      '7',
      'to',
      '169.254.169.254',
      'blackhole',
      'protocol',
      'static',
    )
    set.netfilter.run('ip', 'rule', 'add', 'pref', '512', 'to', '10.1.0.7', 'lookup', 'main')
    const before = rulesOf(set)
    await set.manager.start()
    expect(rulesOf(set)).not.toBe(before)
    const planned = await set.manager.planRemoval()
    expect(planned.map(({ table }) => table)).toContain('ip6/rule')
    expect(await set.manager.remove()).toEqual(planned)
    expect(rulesOf(set)).toBe(before)
  })
})

it('hears of a flush of the routing policy and puts its own back, nothing else', async () => {
  const set = setUp()
  await set.manager.start()
  await set.clock.advance(100)
  const whole = rulesOf(set)
  set.netfilter.run('ip', 'rule', 'flush', 'protocol', '107')
  await set.clock.advance(100)
  expect(rulesOf(set)).toBe(whole)
  expect(set.told('capture-repaired').at(-1)).toMatchObject({ reason: 'monitor', tables: ['ip/rule'] })
  const looks = set.told('capture-looked').length
  set.netfilter.run('ip', 'rule', 'add', 'pref', '512', 'to', '10.1.0.7', 'lookup', 'main')
  await set.clock.advance(100)
  expect(set.told('capture-looked')).toHaveLength(looks)
})

it('finds a flush of the routing policy within a minute when its monitor has died and cannot be started again', async () => {
  const fake = createFakeNetfilter()
  let die: (() => void) | undefined
  const runner: FakeNetfilter['runner'] = {
    ...fake.runner,
    async *lines(file, args, signal, onRunning) {
      if (file !== 'ip') yield* fake.runner.lines(file, args, signal, onRunning)
      else if (die === undefined && !signal.aborted) {
        onRunning?.()
        await new Promise<void>((resolve) => {
          die = resolve
          signal.addEventListener('abort', () => resolve())
        })
      }
    },
  }
  const set = setUp({}, { ...fake, runner })
  await set.manager.start()
  await set.clock.advance(30_000)
  const whole = rulesOf(set)
  die?.()
  await set.clock.advance(100)
  set.netfilter.run('ip', 'rule', 'flush', 'protocol', '107')
  await set.clock.advance(60_000)
  expect(rulesOf(set)).toBe(whole)
})

it('says so and goes on where the kernel has no policy routing', async () => {
  const { netfilter, manager, told } = setUp({}, { policyRouting: false })
  await manager.start()
  await manager.look()
  expect(netfilter.send(ask)).toEqual(AGENT)
  expect(manager.status()).toMatchObject({
    state: 'in-place',
    routing: {
      families: { 4: 'unavailable', 6: 'unavailable' },
      reason: 'ip -json rule show: RTNETLINK answers: Operation not supported',
    },
  })
  expect(told('capture-routing-guard-unavailable')).toHaveLength(1)
  expect(printStatus(manager.status())).toContain('IPv4 unavailable, IPv6 unavailable (ip -json rule show')
  await manager.remove()
  expect(netfilter.send(ask)).toEqual({ fate: 'delivered' })
})

it('says so and goes on where ip may not change the policy, until it may', async () => {
  const kernel = createFakeNetfilter()
  let denied = true
  const netfilter: FakeNetfilter = {
    ...kernel,
    runner: {
      ...kernel.runner,
      run: async (file, args, options) =>
        denied && options?.input?.startsWith('rule ') === true
          ? { exitCode: 2, stdout: '', stderr: 'RTNETLINK answers: Operation not permitted\n' }
          : kernel.runner.run(file, args, options),
    },
  }
  const { manager, told } = setUp({}, netfilter)
  await manager.start()
  expect(manager.status()).toMatchObject({
    state: 'in-place',
    routing: { families: { 4: 'unavailable' }, reason: expect.stringContaining('not permitted') },
  })
  await manager.look()
  expect(told('capture-routing-guard-unavailable')).toHaveLength(1)
  denied = false
  await manager.look()
  expect(manager.status().routing).toEqual({ families: { 4: 'in-place', 6: 'in-place' } })
})

it('is not there for a family that the node lacks', async () => {
  const { manager, netfilter } = setUp({}, { ipv6: false })
  await manager.start()
  expect(manager.status().routing.families).toEqual({ 4: 'in-place', 6: 'absent' })
  expect(netfilter.run('ip', '-6', '-json', 'rule', 'show')).not.toContain('107')
})

it('makes nothing where it is switched off, and takes away what an earlier instance made, without a fight', async () => {
  const { netfilter, manager: old, clock: oldClock, told } = setUp({ instance: 'old' })
  await old.start()
  await oldClock.advance(100)
  const off = setUp({ instance: 'other', guardRouting: false }, netfilter)
  await off.manager.start()
  expect(off.manager.status().routing.families).toEqual({ 4: 'off', 6: 'off' })
  for (let turn = 0; turn < 20; turn += 1) {
    await oldClock.advance(1_000)
    await off.clock.advance(1_000)
  }
  expect(told('capture-repaired').length).toBeLessThanOrEqual(3)
  expect(told('capture-contended')).toEqual([])
  await old.stop()
  await off.clock.advance(60_000)
  expect(netfilter.run('ip', '-json', 'rule', 'show')).not.toContain('"107"')
  expect(off.manager.status().state).toBe('in-place')
})

it('leaves the rules of a later instance with other settings alone', async () => {
  // Of two that start at the same time the name decides.
  const old = setUp({ instance: 'agent-1', containerCredentials: true })
  await old.manager.start()
  const fresh = setUp({ instance: 'agent-2' }, old.netfilter)
  await fresh.manager.start()
  const rules = rulesOf(old)
  expect(rules).not.toContain('169.254.170.2')
  expect(await old.manager.look()).toMatchObject({ state: 'yielded' })
  expect(rulesOf(old)).toBe(rules)
  await fresh.manager.look()
  expect(rulesOf(old)).toBe(rules)
})

it('shows in plan and status', async () => {
  const { manager } = setUp()
  expect(printPlan(await manager.plan())).toContain(
    '# ip -6 -batch -\nrule add pref 8 to fd00:ec2::254 nop protocol 107\n',
  )
  expect(await manager.inspect()).toMatchObject({
    state: 'incomplete',
    routing: { families: { 4: 'missing', 6: 'missing' } },
  })
  await manager.start()
  expect(printStatus(await manager.inspect())).toMatch(/^guard in routing +IPv4 in-place, IPv6 in-place$/m)
})

it('has its rules looked for, and only that, when they alone are gone', async () => {
  const { manager, netfilter } = setUp()
  await manager.start()
  netfilter.run('ip', 'rule', 'flush', 'protocol', '107')
  const { steps } = await manager.plan()
  expect(steps.map(({ op, table }) => `${op} ${table}`)).toEqual(
    ['add-routing-rule', 'add-routing-rule', 'add-routing-rule'].map((op) => `${op} ip/rule`),
  )
  expect(await manager.inspect()).toMatchObject({ state: 'incomplete' })
})
