import { aborted, type IpAddress, parseCidr, parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { createCaptureManager } from './capture-manager.ts'
import { createFakeNetfilter, type FakeNetfilter } from './fake-netfilter.ts'
import { printPlan, printStatus } from './print.ts'
import { parseHostInterface } from './settings.ts'
import { openWays } from './status.ts'
import { AGENT, ask, ask6, setUp, stopAll } from './test-capture.ts'

afterEach(stopAll)

describe.each(['iptables-nft', 'iptables-legacy', 'nft'] as const)('on %s', (backend) => {
  it('leads pods to the agent when start resolves', async () => {
    const { manager, netfilter } = setUp({ backend })
    expect(netfilter.send(ask)).toEqual({ fate: 'delivered' })
    await manager.start()
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(manager.status()).toMatchObject({
      state: 'in-place',
      backend,
      families: { 4: 'redirected', 6: 'dropped' },
    })
  })

  it('never opens the way between block and redirect', async () => {
    const { manager, netfilter } = setUp({ backend })
    await manager.installBlock()
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    const fates = new Set<string>()
    netfilter.onChange(() => fates.add(netfilter.send(ask).fate))
    await manager.start()
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(fates).not.toContain('delivered')
  })

  it('keeps the rules when it stops, and takes them away when asked', async () => {
    const { manager, netfilter } = setUp({ backend })
    await manager.start()
    await manager.stop()
    expect(netfilter.send(ask)).toEqual(AGENT)
    await manager.remove()
    expect(netfilter.send(ask)).toEqual({ fate: 'delivered' })
    expect(manager.status().state).toBe('removed')
  })

  it('drops what is not HTTP, lets the node itself through, and leaves other addresses alone', async () => {
    const { manager, netfilter } = setUp({ backend, containerCredentials: true })
    await manager.start()
    expect(netfilter.send({ ...ask, protocol: 'udp', port: 53 })).toEqual({ fate: 'dropped' })
    expect(netfilter.send({ ...ask, port: 8080 })).toEqual({ fate: 'dropped' })
    expect(netfilter.send({ ...ask, destination: '169.254.170.23' })).toEqual(AGENT)
    expect(netfilter.send({ ...ask, inInterface: 'lo', local: true })).toEqual({ fate: 'delivered' })
    expect(netfilter.send({ ...ask, destination: '10.96.0.1' })).toEqual({ fate: 'delivered' })
  })

  it('drops what comes in by an interface that nobody named', async () => {
    const { manager, netfilter } = setUp({ backend })
    await manager.start()
    expect(netfilter.send({ ...ask, inInterface: 'docker0' })).toEqual({ fate: 'dropped' })
  })

  it('leaves other interfaces alone where only pods are to be guarded', async () => {
    const { manager, netfilter } = setUp({ backend, guard: 'pods' })
    await manager.start()
    expect(netfilter.send({ ...ask, inInterface: 'virbr0' })).toEqual({ fate: 'delivered' })
    expect(netfilter.send({ ...ask, protocol: 'udp' })).toEqual({ fate: 'dropped' })
  })
})

describe('without nftables to hold the second guard', () => {
  const programs = ['iptables', 'ip6tables'].flatMap((base) =>
    ['', '-save', '-restore'].map((verb) => `${base}${verb}`),
  )

  it('shuts the way before it opens the one to the agent', async () => {
    const { manager, netfilter } = setUp({}, { programs })
    const fates: string[] = []
    netfilter.onChange(() => fates.push(netfilter.send(ask).fate))
    await manager.start()
    expect([...new Set(fates)]).toEqual(['dropped', 'redirected'])
  })

  it('guards what is forwarded and what is the node’s own address', async () => {
    const { manager, netfilter } = setUp({}, { programs })
    await manager.installBlock()
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    expect(netfilter.send({ ...ask, local: true })).toEqual({ fate: 'dropped' })
  })

  it('guards again when the mangle table was flushed', async () => {
    const { manager, netfilter, clock } = setUp({}, { programs })
    await manager.start()
    netfilter.run('iptables', '-t', 'mangle', '-F')
    await clock.advance(22_000)
    expect(netfilter.send({ ...ask, protocol: 'udp' })).toEqual({ fate: 'dropped' })
  })
})

it('watches once, however often it is started', async () => {
  const { manager, netfilter, clock, told } = setUp()
  for (let times = 0; times < 5; times += 1) await manager.start()
  await clock.advance(100)
  expect(told('capture-monitor-started').map(({ type }) => type)).toHaveLength(1)
  const looks = told('capture-looked').length
  netfilter.run('iptables-nft', '-t', 'nat', '-F')
  await clock.advance(100)
  expect(netfilter.send(ask)).toEqual(AGENT)
  expect(told('capture-looked').length - looks).toBeLessThanOrEqual(3)
})

describe('IPv6', () => {
  const hostIps = [parseIpAddress('10.0.0.1'), parseIpAddress('fd00::1')]

  it('is redirected where the agent has an address', async () => {
    const { manager, netfilter } = setUp({ hostIps })
    await manager.start()
    expect(netfilter.send(ask6)).toEqual({ fate: 'redirected', address: 'fd00::1', port: 8181 })
  })

  it('is dropped, and told, where the kernel has no IPv6 NAT', async () => {
    const { manager, netfilter, told } = setUp({ hostIps }, { ipv6Nat: false })
    await manager.start()
    expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
    expect(manager.status().families).toEqual({ 4: 'redirected', 6: 'dropped' })
    expect(told('capture-ipv6-not-redirected')).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('Table does not exist') }),
    ])
  })

  const ofFamily4 = ['', '-nft', '-legacy'].flatMap((kind) =>
    ['', '-save', '-restore'].map((verb) => `iptables${kind}${verb}`),
  )

  describe.each(['iptables-nft', 'iptables-legacy'] as const)(
    'where ip6tables cannot be used, on %s',
    (backend) => {
      it.each([
        [
          'it is not installed',
          { programs: [...ofFamily4, 'nft', 'ip', 'conntrack'] },
          'ip6tables is not installed',
        ],
        ['it has no mangle table', { ipv6Mangle: false }, 'Table does not exist'],
      ])('is dropped by nftables: %s', async (_, options, reason) => {
        const { manager, netfilter } = setUp({ hostIps, backend }, options)
        await manager.installBlock()
        expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
        await manager.start()
        expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
        expect(manager.status()).toMatchObject({
          state: 'in-place',
          families: { 4: 'redirected', 6: 'dropped' },
        })
        expect(manager.status().familyReasons[6]).toContain(reason)
        await manager.stop()
        netfilter.restore(`${backend}-restore`.replace('-nft', ''), '*nat\nCOMMIT\n*mangle\nCOMMIT\n')
        expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
        await manager.remove()
        expect(netfilter.send(ask6)).toEqual({ fate: 'delivered' })
      })

      it('is dropped by the routing policy where there is no nftables either', async () => {
        const programs = [...ofFamily4, 'ip', 'conntrack']
        const { manager, netfilter } = setUp({ hostIps, backend, guardRouting: true }, { programs })
        await manager.start()
        expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
        expect(manager.status().families).toEqual({ 4: 'redirected', 6: 'dropped' })
      })

      it('is said to be open, and how to shut it, where nothing can', async () => {
        const { manager, netfilter } = setUp(
          { hostIps, backend },
          { programs: [...ofFamily4, 'ip', 'conntrack'] },
        )
        await manager.start()
        expect(netfilter.send(ask6)).toEqual({ fate: 'delivered' })
        expect(manager.status().families[6]).toBe('unprotected')
        expect(openWays(manager.status())).toEqual([
          {
            family: 6,
            why: 'pods reach the metadata service of the node over IPv6: ip6tables is not installed',
            remedy: expect.stringContaining('nftables'),
          },
        ])
        expect(printStatus(manager.status())).toMatch(/^open +pods reach .* over IPv6: .*nftables/m)
      })
    },
  )

  it('is absent where the node has none', async () => {
    const { manager } = setUp({ hostIps }, { ipv6: false })
    await manager.start()
    expect(manager.status()).toMatchObject({ state: 'in-place', families: { 4: 'redirected', 6: 'absent' } })
  })
})

describe('when the rules are changed', () => {
  it('puts a flushed nat table right at once, names who did it, and nothing slips through meanwhile', async () => {
    const { manager, netfilter, clock, told } = setUp()
    await manager.start()
    await clock.advance(100)
    netfilter.run('iptables-nft', '-t', 'nat', '-F')
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    await clock.advance(100)
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(told('capture-repaired').at(-1)).toMatchObject({
      reason: 'monitor',
      tables: ['ip/nat'],
      changedBy: 'iptables-nft',
    })
  })

  it('keeps the way shut when every table of iptables is flushed in one go', async () => {
    const { manager, netfilter, clock } = setUp()
    await manager.start()
    await clock.advance(100)
    netfilter.restore('iptables-nft-restore', '*nat\nCOMMIT\n*mangle\nCOMMIT\n*filter\nCOMMIT\n')
    expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
    await clock.advance(100)
    expect(netfilter.send(ask)).toEqual(AGENT)
  })

  it.each([
    ['two minutes where both monitors run and are stuck', true, 120_000],
    ['a minute where one is stuck and the other is not wanted', false, 60_000],
  ])('finds it within %s, and does not look before', async (_within, guardRouting, ms) => {
    const fake = createFakeNetfilter()
    const netfilter: FakeNetfilter = {
      ...fake,
      runner: {
        ...fake.runner,
        async *lines(_file, _args, signal, onRunning) {
          onRunning?.()
          if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
          yield* []
        },
      },
    }
    const { manager, clock, told } = setUp({ guardRouting }, netfilter)
    await manager.start()
    await clock.advance(10_000)
    const looks = told('capture-looked').length
    fake.run('iptables-nft', '-t', 'nat', '-F')
    await clock.advance(ms - 20_000)
    expect(told('capture-looked')).toHaveLength(looks)
    await clock.advance(20_000)
    expect(fake.send(ask)).toEqual(AGENT)
  })

  it('finds it within two seconds where nothing tells of changes', async () => {
    const { manager, netfilter, clock, told } = setUp({ backend: 'iptables-legacy' })
    await manager.start()
    await clock.advance(5_000)
    const looks = told('capture-looked').length
    netfilter.run('iptables-legacy', '-t', 'nat', '-F')
    await clock.advance(2_000)
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(told('capture-looked')).toHaveLength(looks + 1)
  })

  it('asks no program while the kernel’s counts stay, and finds a flush by them within two seconds', async () => {
    let comments = 9
    const fake = createFakeNetfilter()
    const netfilter: FakeNetfilter = {
      ...fake,
      files: {
        ...fake.files,
        readText: async (path) =>
          path === '/sys/module/xt_comment/refcnt' ? `${comments}\n` : fake.files.readText(path),
      },
    }
    const { manager, clock, told } = setUp({ backend: 'iptables-legacy' }, netfilter)
    await manager.start()
    await clock.advance(1_500)
    const calls = fake.calls.length
    await clock.advance(15_000)
    expect(fake.calls.length).toBe(calls)
    fake.run('iptables-legacy', '-t', 'nat', '-F')
    comments -= 3
    await clock.advance(2_000)
    expect(fake.send(ask)).toEqual(AGENT)
    // What changes no count is found all the same, only later.
    fake.run('iptables-legacy', '-t', 'nat', '-I', 'PREROUTING', '1', '-j', 'ACCEPT')
    await clock.advance(22_000)
    expect(fake.send(ask)).toEqual(AGENT)
    expect(told('capture-repaired').at(-1)).toMatchObject({ tables: ['ip/nat'] })
  })

  it('looks at the hooks when others change the counts, and at nothing more', async () => {
    let comments = 9
    const fake = createFakeNetfilter()
    const netfilter: FakeNetfilter = {
      ...fake,
      files: {
        ...fake.files,
        readText: async (path) =>
          path === '/sys/module/xt_comment/refcnt' ? `${comments}\n` : fake.files.readText(path),
      },
    }
    const { manager, clock, told } = setUp({ backend: 'iptables-legacy' }, netfilter)
    await manager.start()
    await clock.advance(1_500)
    const looks = told('capture-looked').length
    const calls = fake.calls.length
    comments += 4
    await clock.advance(10_000)
    expect(fake.calls.slice(calls).map((call) => call.slice(0, 1).concat(call.slice(3)))).toEqual([
      ['iptables-legacy', '-t', 'nat', '-S', 'PREROUTING'],
    ])
    expect(told('capture-looked')).toHaveLength(looks)
  })

  it('looks by itself while the monitor is not to be had', async () => {
    const programs = ['iptables', 'ip6tables'].flatMap((base) =>
      ['', '-save', '-restore'].map((verb) => `${base}${verb}`),
    )
    const { manager, netfilter, clock, told } = setUp({}, { programs })
    await manager.start()
    await clock.advance(1_000)
    expect(told('capture-monitor-lost')[0]).toMatchObject({
      reason: expect.stringContaining('not installed'),
    })
    netfilter.run('iptables', '-t', 'nat', '-F')
    await clock.advance(2_000)
    expect(netfilter.send(ask)).toEqual(AGENT)
    expect(manager.status().monitored).toBe(false)
  })

  it('slows down and tells when another program insists', async () => {
    const { manager, netfilter, clock, told } = setUp()
    await manager.start()
    await clock.advance(100)
    const insist = netfilter.onChange(() => {
      queueMicrotask(() => {
        if (netfilter.run('iptables-nft', '-t', 'nat', '-S', 'PREROUTING').includes('KUBE2IAM'))
          netfilter.run('iptables-nft', '-t', 'nat', '-F')
      })
    })
    netfilter.run('iptables-nft', '-t', 'nat', '-F')
    await clock.advance(30_000)
    insist()
    expect(told('capture-contended')[0]).toMatchObject({
      repairs: 10,
      changedBy: expect.stringContaining('iptables-nft'),
    })
    await clock.advance(5_000)
    expect(netfilter.send(ask)).toEqual(AGENT)
    const commits = netfilter.calls.filter(([file]) => file === 'iptables-nft-restore')
    expect(commits.length).toBeLessThan(150)
  })
})

describe('when a call fails', () => {
  it('waits out a lock', async () => {
    const { manager, netfilter } = setUp()
    await manager.start()
    netfilter.faults.locked = 1
    await expect(manager.look()).rejects.toMatchObject({ code: 'IPTABLES_LOCKED', retryable: true })
    expect(manager.status()).toMatchObject({ state: 'incomplete', problem: { code: 'IPTABLES_LOCKED' } })
    expect(await manager.look()).toMatchObject({ state: 'in-place' })
    expect(manager.status().problem).toBeUndefined()
  })

  it('tries a lost commit again', async () => {
    const { manager, netfilter } = setUp()
    netfilter.faults.lostCommits = 2
    await manager.start()
    expect(netfilter.send(ask)).toEqual(AGENT)
  })

  it('says that it may not', async () => {
    const { manager, netfilter, told } = setUp()
    netfilter.faults.denied = 100
    await expect(manager.start()).rejects.toMatchObject({
      code: 'IPTABLES_DENIED',
      message: expect.stringContaining('NET_ADMIN'),
    })
    expect(told('capture-look-failed')).toHaveLength(1)
    netfilter.faults.denied = 0
    await manager.start()
    expect(manager.status().state).toBe('in-place')
  })

  it('stops while it waits to start', async () => {
    const { manager } = setUp()
    const stopping = new AbortController()
    stopping.abort()
    await expect(manager.start(stopping.signal)).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

it('cuts connections to the real service and leaves those to the agent', async () => {
  const { manager, netfilter, told, clock } = setUp()
  const early = netfilter.connect(ask)
  await manager.start()
  expect(told('capture-connections-cut')).toEqual([{ type: 'capture-connections-cut', connections: 1 }])
  const late = netfilter.connect(ask)
  await clock.advance(100)
  netfilter.run('iptables-nft', '-t', 'nat', '-F')
  expect(late && netfilter.next(late)).toBe('10.0.0.1')
  await clock.advance(100)
  expect(early && netfilter.next(early)).toBe('10.0.0.1')
  expect(late && netfilter.next(late)).toBe('10.0.0.1')
})

describe('auto', () => {
  const auto = { hostInterface: parseHostInterface('auto') }
  const pod = (last: number): IpAddress => parseIpAddress(`10.244.0.${last}`)

  it('learns the interface from the pods, again when pods appear elsewhere', async () => {
    const { manager, netfilter, clock, told } = setUp(auto, {
      routes: { '10.244.0.1': 'cni0', '10.244.0.2': 'cali12' },
    })
    await manager.start()
    expect(manager.status().sources).toEqual([{ kind: 'any' }])
    manager.setPods([pod(1)])
    await clock.advance(1_000)
    expect(manager.status().sources).toEqual([{ kind: 'interface', match: { name: 'cni0', negated: false } }])
    manager.setPods([pod(1), pod(2)])
    await clock.advance(1_000)
    expect(netfilter.send({ ...ask, inInterface: 'cali99' })).toEqual(AGENT)
    expect(netfilter.send({ ...ask, inInterface: 'eth1' })).toEqual({ fate: 'dropped' })
    expect(told('capture-sources-found')).toHaveLength(3)
  })

  it('asks for the routes of all pods in one call, whenever pods come or go', async () => {
    const { manager, netfilter, clock } = setUp(auto, { routes: { '10.244.0.1': 'cni0' } })
    await manager.start()
    for (const addresses of [[pod(1)], [pod(1), pod(2)], [pod(1)]]) {
      manager.setPods(addresses)
      await clock.advance(1_000)
    }
    expect(netfilter.calls.filter((call) => call.includes('-force')).length).toBe(4)
  })

  it('learns the interface of a pod that got the address of another within one hand-over', async () => {
    const { manager, netfilter, clock } = setUp(auto, {
      routes: { '10.244.0.1': 'pod-a', '10.244.0.2': 'pod-c' },
    })
    manager.setPods([pod(1), pod(2)])
    await manager.start()
    netfilter.setRoute('10.244.0.1', 'pod-b')
    manager.setPods([pod(1), pod(2)])
    await clock.advance(1_000)
    expect(netfilter.send({ ...ask, inInterface: 'pod-b' })).toEqual(AGENT)
    expect(netfilter.send({ ...ask, inInterface: 'pod-a' })).toEqual({ fate: 'dropped' })
  })

  it('does not take a pod for one without an interface while its own is being taken away', async () => {
    const { manager, netfilter, clock, told } = setUp(auto, {
      routes: { '10.244.0.1': 'cni0', '10.244.0.2': 'cni0' },
    })
    manager.setPods([pod(1), pod(2)])
    await manager.start()
    netfilter.setRoute('10.244.0.1', 'eth0')
    manager.setPods([pod(1), pod(2)])
    await clock.advance(1_000)
    expect(manager.status().podsApart).toBeUndefined()
    expect(told('capture-sources-found')).toHaveLength(1)
  })

  it('matches by the node’s pod ranges where pods have no interface', async () => {
    const { manager, netfilter, clock } = setUp(auto)
    manager.setPods([pod(1)], [parseCidr('10.244.0.0/24')])
    await manager.start()
    await clock.advance(1_000)
    expect(netfilter.send({ ...ask, source: '10.244.0.9', inInterface: 'eth0' })).toEqual(AGENT)
    expect(netfilter.send({ ...ask, source: '10.9.0.9', inInterface: 'eth0' })).toEqual({ fate: 'dropped' })
  })

  it('warns once of pods whose packets the rules may never see, and stops saying so when they are gone', async () => {
    const { manager, clock, told } = setUp(
      { hostInterface: parseHostInterface('auto') },
      { routes: { '10.244.0.1': 'cni0' } },
    )
    manager.setPods([pod(1), pod(2)])
    await manager.start()
    expect(manager.status().podsApart).toBe(1)
    manager.setPods([pod(1), pod(2), pod(3)])
    await clock.advance(1_000)
    expect(manager.status().podsApart).toBe(2)
    expect(told('capture-pods-apart')).toEqual([
      expect.objectContaining({ pods: 1, why: expect.stringContaining('macvlan') }),
    ])
    manager.setPods([pod(1)])
    await clock.advance(1_000)
    expect(manager.status().podsApart).toBeUndefined()
  })

  it('warns once of a flag that names an interface without pods', async () => {
    const { manager, clock, told } = setUp(
      { hostInterface: parseHostInterface('docker0') },
      { routes: { '10.244.0.1': 'cni0' } },
    )
    manager.setPods([pod(1)])
    await manager.start()
    manager.setPods([pod(1)])
    await clock.advance(1_000)
    expect(told('capture-interface-without-pods')).toEqual([
      expect.objectContaining({ interface: 'docker0' }),
    ])
    expect(manager.status().warning?.suggestion).toContain('--host-interface=cni0')
  })
})

it('knows from its counters that packets are intercepted', async () => {
  const { manager, netfilter } = setUp()
  await manager.start()
  expect(manager.status().interception).toEqual({ kind: 'unseen' })
  netfilter.send(ask)
  expect(await manager.look()).toMatchObject({
    interception: { kind: 'proven', by: 'counters' },
    counters: { redirected: 1, dropped: 0 },
  })
})

it('says why a probe is not possible', async () => {
  const { manager, told } = setUp({ hostInterface: parseHostInterface('cali+') })
  await manager.start()
  expect(await manager.probe('/usr/bin/node')).toMatchObject({
    outcome: 'impossible',
    reason: expect.stringContaining('Operation not permitted'),
  })
  expect(told('capture-probed')).toHaveLength(1)
  expect(manager.status().interception).toEqual({ kind: 'unseen' })
})

it('sweeps at the start what the probe of a killed agent left', async () => {
  const { runner, calls, files } = createFakeNetfilter()
  const netfilter = {
    ...createFakeNetfilter(),
    runner,
    files: {
      ...files,
      list: async (path: string) => (path === '/var/run/netns' ? ['cni-1', 'k2i-probe-1-00beef'] : []),
    },
  }
  await setUp({}, netfilter).manager.start()
  expect(calls.filter((call) => call.includes('delete'))).toEqual([
    ['ip', 'netns', 'delete', 'k2i-probe-1-00beef'],
  ])
})

it('takes away what a probe made before it has stopped', async () => {
  const netfilter = createFakeNetfilter()
  const { runner } = netfilter
  const made = new Set<string>()
  let connecting = (): void => {}
  const connects = new Promise<void>((resolve) => {
    connecting = resolve
  })
  const kernel: typeof runner = {
    ...runner,
    async run(file, args, options) {
      const [what, verb, name = ''] = args[0] === '-n' ? args.slice(2) : args
      if (what === 'netns' && verb === 'add') made.add(name)
      else if (what === 'netns' && verb === 'delete') made.delete(name)
      else if (what === 'netns' && verb === 'exec') {
        connecting()
        return new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(aborted(options.signal)))
        })
      } else if (args.includes('-json') && args.includes('show'))
        return { exitCode: 0, stdout: '[{"address":"02:00:00:00:00:01"}]', stderr: '' }
      else if (what !== '-batch') return runner.run(file, args, options)
      return { exitCode: 0, stdout: '', stderr: '' }
    },
  }
  const { manager } = setUp({ hostInterface: parseHostInterface('cali+') }, { ...netfilter, runner: kernel })
  const probed = manager.probe('/usr/bin/node').catch((error: unknown) => error)
  await connects
  expect([...made]).toEqual([expect.stringMatching(/^k2i-probe-\w+-[0-9a-f]{6}$/)])
  await manager.stop()
  expect([...made]).toEqual([])
  expect(await probed).toMatchObject({ code: 'ABORTED' })
})

it('removes without knowing where the agent listens, and says before what it would', async () => {
  const { netfilter, manager } = setUp()
  await manager.start()
  await manager.stop()
  const remover = createCaptureManager({
    settings: { instance: 'uninstall', hostIps: [], appPort: 8181, backend: 'iptables-nft' },
    only: 'removal',
    runner: netfilter.runner,
    files: netfilter.files,
    clock: createFakeClock(),
    random: createSeededRandom(1),
    report: () => {},
  })
  const planned = await remover.planRemoval()
  expect(netfilter.send(ask)).toEqual(AGENT)
  expect(planned.length).toBeGreaterThan(0)
  expect(await remover.remove()).toEqual(planned)
  expect(netfilter.send(ask)).toEqual({ fate: 'delivered' })
  expect(await remover.planRemoval()).toEqual([])
})

it('blocks without knowing where the agent listens, both families', async () => {
  const netfilter = createFakeNetfilter()
  const settings = { instance: 'install', hostIps: [], appPort: 8181, backend: 'iptables-nft' as const }
  const { runner, files } = netfilter
  const blocker = createCaptureManager({
    settings,
    only: 'block',
    runner,
    files,
    clock: createFakeClock(),
    random: createSeededRandom(1),
    report: () => {},
  })
  expect(await blocker.installBlock()).toMatchObject({ families: { 4: 'dropped', 6: 'dropped' } })
  expect(netfilter.send(ask)).toEqual({ fate: 'dropped' })
  expect(netfilter.send(ask6)).toEqual({ fate: 'dropped' })
})

it('prints what it would do and what is there', async () => {
  const { manager } = setUp()
  expect(printPlan(await manager.plan())).toContain('-I PREROUTING 1 -d 169.254.169.254 -m comment')
  expect(await manager.inspect()).toMatchObject({ state: 'incomplete', families: { 4: 'unprotected' } })
  await manager.start()
  expect(printPlan(await manager.plan())).toBe('nothing to do: every rule is in place\n')
  expect(await manager.inspect()).toMatchObject({ state: 'in-place' })
  const printed = printStatus(manager.status())
  expect(printed).toMatch(/^rules +in-place$/m)
  expect(printed).toMatch(/^pods come in by +cni0 \(--host-interface names cni0\)$/m)
  expect(JSON.parse(JSON.stringify(manager.status()))).toEqual(manager.status())
})

it('plans nothing beside an agent that runs with the same settings, and the difference beside one with others', async () => {
  const { manager, netfilter } = setUp()
  await manager.start()
  const beside = setUp({ instance: 'command' }, netfilter)
  expect((await beside.manager.plan()).steps).toEqual([])
  const other = setUp({ instance: 'command', appPort: 9999 }, netfilter)
  const { steps } = await other.manager.plan()
  expect(steps.map(({ op, table }) => `${op} ${table}`)).toEqual(['replace-chain ip/nat'])
})

it('holds nothing after it stopped', async () => {
  const { manager, clock } = setUp()
  await manager.start()
  await clock.advance(200)
  await manager.stop()
  expect(clock.pending).toBe(0)
})
