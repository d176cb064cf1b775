import { CodedError, parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { collectReports } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type CaptureEvent,
  type CaptureManager,
  type CaptureSettings,
  createCaptureManager,
  parseHostInterface,
} from '../../src/index.ts'
import { type Client, createLab, type Lab } from './lab.ts'
import { inside, insideWithOwnNetns, whyNoNamespaces } from './netns.ts'

const METADATA = '169.254.169.254'
const EMPTY_TABLES = ['filter', 'nat', 'mangle', 'raw'].map((table) => `*${table}\nCOMMIT\n`).join('')
const REDIRECT = { family: 'inet', table: 'kube2iam', name: 'redirect' }
const reason = whyNoNamespaces()

describe.skipIf(reason !== undefined).each(['iptables-nft', 'iptables-legacy', 'nft'] as const)(
  `packets on %s ${reason ?? ''}`,
  (backend) => {
    let lab: Lab
    let managers: CaptureManager[]
    beforeEach(async () => {
      managers = []
      lab = createLab()
      await lab.serve(lab.vpc, '::', 80, 'CANARY')
      await lab.serve(lab.node, '::', 8181, 'agent')
    })
    afterEach(async () => {
      await Promise.all(managers.map((manager) => manager.stop()))
      await lab.close()
    })

    const manage = (settings: Partial<CaptureSettings> = {}, { runner, files } = inside(lab.node)) => {
      const { report, events } = collectReports<CaptureEvent>()
      const manager = createCaptureManager({
        settings: {
          instance: 'agent-a',
          hostIps: [parseIpAddress('10.8.0.2'), parseIpAddress('fd00:8::2')],
          appPort: 8181,
          backend,
          // What netfilter does by itself, but for the tests that say otherwise.
          guardRouting: false,
          ...settings,
        },
        runner,
        files,
        clock: systemClock,
        random: Math.random,
        report,
      })
      manager.setPods([parseIpAddress('10.9.0.7')])
      managers.push(manager)
      return { manager, events }
    }
    const run = async (file: string, ...args: string[]): Promise<void> => {
      const { exitCode, stderr } = await inside(lab.node).runner.run(file, args)
      if (exitCode !== 0) throw new Error(stderr)
    }
    const askOnce = async (host: string): Promise<string> => {
      const client = lab.ask(lab.pod, 'once', host)
      await until(() => client.answers.length > 0)
      await client.stop()
      return client.answers[0] ?? ''
    }

    it('leads the pod to the agent with its own address, over both families, and lets the node itself through', async () => {
      expect(await askOnce(METADATA)).toContain('CANARY')
      const { manager } = manage()
      await manager.start()
      expect(manager.status().sources).toEqual([
        { kind: 'interface', match: { name: 'cni0', negated: false } },
      ])
      expect(await askOnce(METADATA)).toBe('agent to ::ffff:10.9.0.7')
      expect(await askOnce('fd00:ec2::254')).toBe('agent to fd00:9::7')
      const own = lab.ask(lab.node, 'once', METADATA)
      await until(() => own.answers.length > 0)
      expect(own.answers[0]).toContain('CANARY')
      await manager.look()
      expect(manager.status().interception).toMatchObject({ kind: 'proven', by: 'counters' })
      await manager.remove()
      expect(await askOnce(METADATA)).toContain('CANARY')
    })

    it('cuts a connection that was kept alive from before', async () => {
      // A node with kube-proxy tracks connections; a virgin namespace does so once a rule translates addresses.
      await run('iptables-nft', '-t', 'nat', '-A', 'POSTROUTING', '-o', 'nowhere', '-j', 'MASQUERADE')
      const client = lab.ask(lab.pod, 'keep', METADATA)
      await until(() => client.answers.length > 3)
      expect(client.answers.every((answer) => answer.includes('CANARY'))).toBe(true)
      const { manager, events } = manage()
      await manager.start()
      const before = client.answers.length
      await until(() => client.answers.length > before + 3)
      expect(client.answers.at(-1)).toContain('agent')
      // One answer may have been on its way while `start` resolved.
      expect(client.answers.slice(before + 1).filter((answer) => answer.includes('CANARY'))).toEqual([])
      const cut = events.find(({ type }) => type === 'capture-connections-cut')
      // One, or two where the client gave up a slow one and made another.
      expect(cut).toMatchObject({ connections: expect.any(Number) })
    })

    it('lets no request through while everything that can happen to the rules happens', {
      timeout: 120_000,
    }, async () => {
      const { manager } = manage()
      await manager.start()
      const fresh = lab.ask(lab.pod, 'fresh', METADATA)
      const kept = lab.ask(lab.pod, 'keep', METADATA)
      await until(() => fresh.answers.length > 3 && kept.answers.length > 3)
      const iptables = backend === 'iptables-legacy' ? 'iptables-legacy' : 'iptables-nft'
      for (let round = 0; round < 3; round += 1) {
        if (backend === 'nft')
          await run('nft', '-j', JSON.stringify({ nftables: [{ flush: { chain: REDIRECT } }] }))
        else await run(iptables, '-t', 'nat', '-F')
        await more(fresh, kept)
        await run('conntrack', '-F')
        await more(fresh, kept)
        // All of iptables at once, as `iptables-restore` and firewalld do.
        await inside(lab.node).runner.run(`${iptables}-restore`, [], { input: EMPTY_TABLES })
        await more(fresh, kept)
      }
      // The agent dies, another takes over, an upgrade has both at once, somebody installs the block again.
      await manager.stop()
      await more(fresh, kept)
      const next = manage({ instance: 'agent-b' })
      await manage({ instance: 'install' }).manager.installBlock()
      await next.manager.start()
      await more(fresh, kept)
      const agents = fresh.answers.filter((answer) => answer.startsWith('agent')).length
      await until(() => fresh.answers.filter((answer) => answer.startsWith('agent')).length > agents + 3)
      expect([...fresh.answers, ...kept.answers].filter((answer) => answer.includes('CANARY'))).toEqual([])
    })

    /** What `systemctl reload nftables` does on Debian, and the same for the legacy tables. */
    const flushNetfilter = async (): Promise<void> => {
      await run('nft', 'flush', 'ruleset')
      if (backend !== 'iptables-legacy') return
      const { runner } = inside(lab.node)
      for (const base of ['iptables', 'ip6tables'])
        await runner.run(`${base}-legacy-restore`, ['-w', '5'], { input: EMPTY_TABLES })
    }

    it('keeps the way shut when nothing of netfilter is left and nobody repairs it', async () => {
      const { manager } = manage({ guardRouting: true })
      await manager.start()
      await manager.stop()
      await flushNetfilter()
      expect(await askOnce(METADATA)).toBe('TIMEOUT')
      expect(await askOnce('fd00:ec2::254')).toBe('TIMEOUT')
      for (const host of [METADATA, 'fd00:ec2::254']) {
        const own = lab.ask(lab.node, 'once', host)
        await until(() => own.answers.length > 0)
        expect(own.answers[0]).toContain('CANARY')
        await own.stop()
      }
      await manage({ guardRouting: false }).manager.start()
      await flushNetfilter()
      // The lab would show a leak: without the guard in the routing policy it does.
      await managers.at(-1)?.stop()
      await flushNetfilter()
      expect(await askOnce(METADATA)).toContain('CANARY')
      expect(await askOnce('fd00:ec2::254')).toContain('CANARY')
    })

    it('lets no request through while all of netfilter is flushed again and again, over both families', {
      timeout: 120_000,
    }, async () => {
      const { manager } = manage({ guardRouting: true })
      await manager.start()
      const clients = [METADATA, 'fd00:ec2::254'].flatMap((host) => [
        lab.ask(lab.pod, 'fresh', host),
        lab.ask(lab.pod, 'keep', host),
      ])
      const answers = () =>
        clients.map((client) => client.answers.filter((answer) => answer.startsWith('agent')).length)
      await until(() => answers().every((count) => count > 3))
      for (let round = 0; round < 5; round += 1) {
        await flushNetfilter()
        await more(...clients)
      }
      const before = answers()
      await until(() => answers().every((count, at) => count > (before[at] ?? 0) + 3))
      expect(
        clients.flatMap((client) => client.answers).filter((answer) => answer.includes('CANARY')),
      ).toEqual([])
    })

    it('blocks from the first packet on when the block is installed first', async () => {
      await manage({ instance: 'install' }).manager.installBlock()
      const client = lab.ask(lab.pod, 'fresh', METADATA)
      await until(() => client.answers.length > 0)
      expect(client.answers[0]).toBe('TIMEOUT')
      await manage().manager.start()
      await until(() => client.answers.some((answer) => answer.startsWith('agent')))
      expect(client.answers.filter((answer) => answer.includes('CANARY'))).toEqual([])
    })

    it.skipIf(backend === 'nft')('keeps IPv6 shut where ip6tables is missing', async () => {
      const { runner, files } = inside(lab.node)
      const without: typeof runner = {
        ...runner,
        run(file, args, options) {
          if (!file.startsWith('ip6tables')) return runner.run(file, args, options)
          return Promise.reject(new CodedError('COMMAND_MISSING', `${file} is not installed`))
        },
      }
      const { manager } = manage({}, { runner: without, files })
      await manager.start()
      expect(manager.status()).toMatchObject({
        state: 'in-place',
        families: { 4: 'redirected', 6: 'dropped' },
      })
      expect(await askOnce('fd00:ec2::254')).toBe('TIMEOUT')
      expect(await askOnce(METADATA)).toContain('agent')
    })

    it('leaves nothing of a probe that is stopped half-way', async () => {
      const own = await insideWithOwnNetns(lab.node)
      try {
        const { manager } = manage({}, { runner: own.runner, files: inside(lab.node).files })
        await manager.start()
        // Where nobody answers, a probe waits.
        await run('iptables-nft', '-I', 'INPUT', '-p', 'tcp', '--dport', '8181', '-j', 'DROP')
        const names = async (...args: string[]) => (await own.runner.run(args[0] ?? '', args.slice(1))).stdout
        const links = async () => (await names('ip', '-o', 'link', 'show')).match(/^\d+: \S+/gm)
        const before = await links()
        const probed = manager.probe(process.execPath).catch((error: unknown) => error)
        await untilIt(async () => (await names('ls', '/run/netns')).startsWith('k2i-probe-'))
        await manager.stop()
        expect(await probed).toMatchObject({ code: 'ABORTED' })
        expect(await names('ls', '/run/netns')).toBe('')
        expect(await links()).toEqual(before)
      } finally {
        await own.close()
      }
    })

    it('proves by a probe that packets are intercepted, and tells when they are not', async () => {
      const right = manage()
      await right.manager.start()
      const proof = await right.manager.probe(process.execPath)
      expect(proof).toEqual({
        outcome: 'intercepted',
        answered: true,
        evidence: 'a probe on cni0 was redirected; the agent answered',
      })
      expect(right.manager.status().interception).toMatchObject({ kind: 'proven', by: 'probe' })
      await right.manager.remove()

      const wrong = manage({ hostInterface: parseHostInterface('docker0') })
      await wrong.manager.start()
      expect(wrong.manager.status().warning).toMatchObject({
        interface: 'docker0',
        suggestion: expect.stringContaining('cni0'),
      })
      // It is attached where the flag says, so the pod's own way is asked by the pod.
      expect(await askOnce(METADATA)).toBe('TIMEOUT')
    })
  },
)

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until each of them has made requests that began after this was called, whatever became of these. */
async function more(...clients: readonly Client[]): Promise<void> {
  const before = clients.map(({ answers }) => answers.length)
  await until(() => clients.every(({ answers }, at) => answers.length > (before[at] ?? 0) + 1))
}

const until = (condition: () => boolean): Promise<void> => untilIt(async () => condition())

async function untilIt(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen within 30 s')
    await sleep(10)
  }
}
