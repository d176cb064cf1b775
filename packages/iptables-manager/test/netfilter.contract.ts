import { type IpAddress, parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { collectReports, createSeededRandom } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type BackendName,
  type CaptureEvent,
  type CaptureManager,
  type CaptureSettings,
  type CommandRunner,
  createCaptureManager,
  type NodeFiles,
  parseHostInterface,
} from '../src/index.ts'
import { kubeProxyRules } from '../src/testing.ts'

/** A node's netfilter, fake or real. */
export interface ContractNode {
  readonly runner: CommandRunner
  readonly files: NodeFiles
  close(): Promise<void>
}

const HOST_IPS: readonly IpAddress[] = [parseIpAddress('10.0.0.1'), parseIpAddress('fd00:10::1')]

/** What every netfilter that the package runs on must let it do, and must show of what it did. */
export function netfilterContract(name: string, openNode: () => Promise<ContractNode>): void {
  describe.each(['iptables-nft', 'iptables-legacy', 'nft'] as const)(`${name}: %s`, (backend) => {
    let node: ContractNode
    let managers: CaptureManager[]
    beforeEach(async () => {
      node = await openNode()
      managers = []
    })
    afterEach(async () => {
      await Promise.all(managers.map((manager) => manager.stop()))
      await node.close()
    })

    /** `startedLater`: as if it had started by so many milliseconds after the others. */
    const manage = (settings: Partial<CaptureSettings> = {}, startedLater = 0) => {
      const { report, events } = collectReports<CaptureEvent>()
      const manager = createCaptureManager({
        settings: {
          instance: 'agent-a',
          hostIps: HOST_IPS,
          appPort: 8181,
          hostInterface: parseHostInterface('cni0'),
          backend,
          ...settings,
        },
        runner: node.runner,
        files: node.files,
        clock: { ...systemClock, now: () => systemClock.now() + startedLater },
        random: createSeededRandom(1),
        report,
      })
      managers.push(manager)
      return { manager, events }
    }
    const run = async (file: string, args: readonly string[], input = ''): Promise<string> => {
      const { exitCode, stdout, stderr } = await node.runner.run(file, args, { input })
      if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`)
      return stdout
    }
    const kind = backend === 'iptables-legacy' ? 'legacy' : 'nft'
    const save = async (): Promise<string> => {
      const saved = await Promise.all([run(`iptables-${kind}-save`, []), run(`ip6tables-${kind}-save`, [])])
      return saved.map((text) => text.replaceAll(/^#.*\n/gm, '')).join('')
    }
    const routing = async (): Promise<string> =>
      (await run('ip', ['-json', 'rule', 'show'])) + (await run('ip', ['-6', '-json', 'rule', 'show']))
    /** Everything on the node, ours included. */
    const everything = async (): Promise<string> =>
      (await save()) +
      (await routing()) +
      (backend === 'nft' ? await run('nft', ['-s', 'list', 'table', 'inet', 'kube2iam']).catch(() => '') : '')
    const loadForeign = async (services: number): Promise<void> => {
      await run(`iptables-${kind}-restore`, [], kubeProxyRules(services))
      await run(`ip6tables-${kind}-restore`, [], kubeProxyRules(2, 6))
    }
    const iptables = (args: string, family = ''): Promise<string> =>
      run(`ip${family}tables-${kind}`, ['-w', '5', ...args.split(' ')])

    it('puts redirect and guard in place for both families', async () => {
      const { manager } = manage()
      await manager.start()
      expect(manager.status()).toMatchObject({
        state: 'in-place',
        backend,
        families: { 4: 'redirected', 6: 'redirected' },
        routing: { families: { 4: 'in-place', 6: 'in-place' } },
      })
      const rules = await everything()
      expect(rules).toMatch(/169\.254\.169\.254.*(DNAT|dnat).*10\.0\.0\.1:8181/)
      expect(rules).toMatch(/fd00:ec2::254.*(DNAT|dnat).*\[fd00:10::1\]:8181/)
      expect(rules).toMatch(/169\.254\.169\.254.*(DROP|drop)/)
      expect(rules).toMatch(/fd00:ec2::254.*(DROP|drop)/)
      expect(rules).toContain('kube2iam-ts:agent-a:')
    })

    it('changes nothing when everything is in place', async () => {
      const { manager, events } = manage()
      await manager.start()
      const before = await everything()
      expect((await manager.plan()).steps).toEqual([])
      await manager.look()
      expect(await everything()).toBe(before)
      expect(events.filter(({ type }) => type === 'capture-repaired')).toHaveLength(1)
    })

    it('blocks first and redirects later', async () => {
      const { manager } = manage()
      await manager.installBlock()
      const blocked = await everything()
      expect(blocked).toMatch(/169\.254\.169\.254.*(DROP|drop)/)
      expect(blocked).not.toMatch(/DNAT|dnat/)
      await manager.start()
      expect(await everything()).toMatch(/DNAT|dnat/)
    })

    it('leaves a redirect alone when it only blocks', async () => {
      const first = manage()
      await first.manager.start()
      await first.manager.stop()
      await manage({ instance: 'install' }).manager.installBlock()
      expect(await everything()).toMatch(/169\.254\.169\.254.*(DNAT|dnat).*10\.0\.0\.1:8181/)
    })

    it('leaves 5,000 foreign rules untouched to the byte', { timeout: 60_000 }, async () => {
      await loadForeign(1_250)
      const before = await save()
      const { manager } = manage()
      await manager.start()
      const during = await save()
      const ours = /^(:KUBE2IAM-|-A (PREROUTING|INPUT|FORWARD|KUBE2IAM-).*kube2iam-ts:).*\n/gm
      expect(during.replaceAll(ours, '')).toBe(before)
      await manager.remove()
      expect(await save()).toBe(before)
    })

    it('guards in the routing policy too, beside what others have there, and takes only its own away', async () => {
      const foreign = 'pref 7 to 169.254.169.254 blackhole protocol static'
      await run('ip', ['rule', 'add', ...foreign.split(' ')])
      await run('ip', ['-6', 'rule', 'add', 'pref', '512', 'to', 'fd00:9::7', 'lookup', 'main'])
      const before = await routing()
      const { manager } = manage()
      await manager.installBlock()
      const during = await routing()
      expect(during.match(/"protocol":"107"/g)).toHaveLength(6)
      expect(during).toContain('"dst":"fd00:ec2::254","iif":"lo","goto":8,"protocol":"107"')
      await manager.start()
      expect(await routing()).toBe(during)
      await manager.remove()
      expect(await routing()).toBe(before)
    })

    it('repairs the routing policy whatever becomes of it', { timeout: 60_000 }, async () => {
      const { manager } = manage()
      await manager.start()
      const whole = await routing()
      const damages = [
        ['rule', 'flush', 'protocol', '107'],
        ['-6', 'rule', 'flush', 'protocol', '107'],
        ['rule', 'del', 'pref', '8', 'protocol', '107'],
        ['-6', 'rule', 'del', 'pref', '7', 'protocol', '107'],
        ['rule', 'add', 'pref', '8', 'from', '10.0.0.0/8', 'lookup', 'main', 'protocol', '107'],
        ['-6', 'rule', 'add', 'pref', '3', 'to', 'fd00:ec2::254', 'blackhole', 'protocol', '107'],
      ]
      for (const damage of damages) {
        await run('ip', damage)
        await manager.look()
        expect(await routing()).toBe(whole)
        expect((await manager.plan()).steps).toEqual([])
      }
    })

    it('hears of a flush of the routing policy', { timeout: 60_000 }, async () => {
      const { manager, events } = manage()
      await manager.start()
      const listens = (event: CaptureEvent): boolean =>
        event.type === 'capture-monitor-started' && event.program === 'ip monitor rule'
      await until(() => events.some(listens))
      const whole = await routing()
      const before = manager.status().repairs
      await run('ip', ['rule', 'flush', 'protocol', '107'])
      await until(() => manager.status().repairs > before)
      await manager.look()
      expect(await routing()).toBe(whole)
    })

    it('takes everything of ours away, and has nothing to take a second time', async () => {
      await loadForeign(2)
      const before = await everything()
      const { manager } = manage()
      await manager.start()
      expect((await manager.remove()).length).toBeGreaterThan(0)
      expect(await everything()).toBe(before)
      expect(await manage().manager.remove()).toEqual([])
    })

    it('lets the later of two instances have the say, without a fight', async () => {
      const old = manage({ instance: 'old', appPort: 8181 })
      await old.manager.start()
      const fresh = manage({ instance: 'new', appPort: 8282 }, 1_000)
      await fresh.manager.start()
      for (let turn = 0; turn < 3; turn += 1) {
        await old.manager.look()
        await fresh.manager.look()
      }
      expect(old.manager.status().state).toBe('yielded')
      expect(fresh.manager.status()).toMatchObject({ state: 'in-place', repairs: 1 })
      const rules = await everything()
      expect(rules).toContain('8282')
      expect(rules).not.toContain('8181')
    })

    it('signs the rules anew after a roll-out to the same settings, and the old instance agrees', async () => {
      const old = manage({ instance: 'old' })
      await old.manager.start()
      const fresh = manage({ instance: 'new' }, 1_000)
      await fresh.manager.start()
      expect(await everything()).not.toContain('kube2iam-ts:old:')
      expect((await old.manager.plan()).steps).toEqual([])
    })

    it.skipIf(backend === 'nft')(
      'repairs what was flushed, deleted, added or moved',
      { timeout: 60_000 },
      async () => {
        await loadForeign(3)
        const { manager } = manage()
        await manager.start()
        const whole = await save()
        const damages: (() => Promise<unknown>)[] = [
          () => iptables('-t nat -F KUBE2IAM-REDIRECT'),
          () => iptables('-t mangle -F KUBE2IAM-GUARD', '6'),
          () => iptables('-t mangle -F'),
          () => iptables('-t nat -D PREROUTING 1'),
          () => iptables('-t nat -I KUBE2IAM-REDIRECT 1 -j RETURN'),
          () => iptables('-t nat -A PREROUTING -j KUBE2IAM-REDIRECT'),
          () =>
            iptables('-t mangle -I FORWARD 1 -j ACCEPT').then(() =>
              iptables('-t mangle -A FORWARD -j ACCEPT'),
            ),
        ]
        for (const damage of damages.slice(0, -1)) {
          await damage()
          expect(await save()).not.toBe(whole)
          await manager.look()
          expect(await save()).toBe(whole)
        }
        await damages.at(-1)?.()
        await manager.look()
        const forward = (await iptables('-t mangle -S FORWARD')).split('\n')
        expect(forward[1]).toContain('-j KUBE2IAM-GUARD')
      },
    )

    it.skipIf(backend === 'nft')('stays ahead of KUBE-SERVICES', async () => {
      await loadForeign(1)
      const { manager } = manage()
      await manager.start()
      const first = async (): Promise<string | undefined> =>
        (await iptables('-t nat -S PREROUTING')).split('\n')[1]
      expect(await first()).toContain('-j KUBE2IAM-REDIRECT')
      await iptables('-t nat -I PREROUTING 1 -j KUBE-SERVICES')
      await manager.look()
      expect(await first()).toContain('-j KUBE2IAM-REDIRECT')
    })

    it.skipIf(backend === 'nft')('does not fight Calico over the first place', async () => {
      const { manager } = manage()
      await manager.start()
      await iptables('-t nat -N cali-PREROUTING')
      await iptables('-t nat -I PREROUTING 1 -j cali-PREROUTING')
      expect((await manager.plan()).steps).toEqual([])
    })

    it.skipIf(backend !== 'nft')('repairs its table', async () => {
      const { manager } = manage()
      await manager.start()
      const whole = await everything()
      for (const damage of [
        ['delete', 'table', 'inet', 'kube2iam'],
        ['flush', 'ruleset'],
      ]) {
        await run('nft', damage)
        await manager.look()
        expect(await everything()).toContain('169.254.169.254')
        expect((await manager.plan()).steps).toEqual([])
      }
      expect(await run('nft', ['-s', 'list', 'table', 'inet', 'kube2iam'])).toBe(
        whole.slice(whole.indexOf('table inet kube2iam')),
      )
    })

    it('finds and removes what kube2iam and kiam left, and only that', async () => {
      if (backend === 'nft') return
      await iptables(
        '-t nat -A PREROUTING -d 169.254.169.254/32 -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.9:8181',
      )
      await iptables(
        '-t nat -A PREROUTING -d 169.254.169.254/32 ! -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.9:8181',
      )
      await iptables('-t nat -A PREROUTING -d 169.254.169.254/32 -p udp -j RETURN')
      const { manager } = manage()
      await manager.start()
      const found = await manager.leftovers()
      expect(found.map(({ leadsTo }) => leadsTo)).toEqual(['10.0.0.9:8181', '10.0.0.9:8181'])
      await manager.removeLeftovers(found)
      expect(await manager.leftovers()).toEqual([])
      expect(await save()).toContain('-p udp')
      expect(manager.status().state).toBe('in-place')
    })

    it('hears of a flush, or looks by itself', { timeout: 60_000 }, async () => {
      const { manager, events } = manage()
      await manager.start()
      await until(
        () => backend === 'iptables-legacy' || events.some(({ type }) => type === 'capture-monitor-started'),
      )
      const before = manager.status().repairs
      if (backend === 'nft') await run('nft', ['delete', 'table', 'inet', 'kube2iam'])
      else await iptables('-t nat -F')
      await until(() => manager.status().repairs > before)
      expect((await manager.plan()).steps).toEqual([])
    })

    it('sweeps up what an earlier instance left in another backend', async () => {
      const other = backend === 'nft' ? 'iptables-nft' : 'nft'
      const old = manage({ instance: 'old', backend: other satisfies BackendName, appPort: 9999 })
      await old.manager.start()
      await old.manager.stop()
      const fresh = manage({ instance: 'new' }, 1_000)
      await fresh.manager.start()
      const all =
        (await save()) + (await run('iptables-nft-save', [])) + (await run('nft', ['list', 'tables']))
      expect(all).not.toContain('kube2iam-ts:old:')
    })
  })
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not happen within 30 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
