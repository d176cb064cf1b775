import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, APP_PORT, agentEnv, runAgentCommand, startAgent } from '../src/agent.ts'
import { furnish, runPod } from '../src/cluster.ts'
import { ADDRESSES, createLab, type Lab } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { type Probe, startProbe } from '../src/leak/probe.ts'
import { startWorld, type World } from '../src/world/world.ts'

const skip = mustSkip('the leak test')

// A pod asks for the node's secrets in tight loops, over both families, while everything happens to the agent and its
// rules that happens on nodes. `node`: the packets would be delivered on the node itself; `vpc`: they would be forwarded, as on EC2.
describe.skipIf(skip).each([
  { metadata: 'vpc', installFirst: false },
  { metadata: 'node', installFirst: true },
] as const)('no secret of the node reaches a pod ($metadata, install first: $installFirst)', (given) => {
  let lab: Lab
  let world: World
  let probes: readonly Probe[] = []
  let agent: Agent
  let guardedSince = 0

  beforeAll(async () => {
    lab = await createLab({ metadata: given.metadata })
    world = await startWorld(lab)
    await furnish(world, ['reader'])
    if (given.installFirst) {
      const installed = await runAgentCommand(lab, ['install'], agentEnv(world))
      expect(installed, installed.stderr).toMatchObject({ code: 0 })
      guardedSince = Date.now()
    }
    const pod = await runPod(lab, world, 'prying', { role: 'reader' })
    probes = await Promise.all(
      [ADDRESSES.metadata, ADDRESSES.metadata6].map((host) => startProbe(pod, world.canary, host)),
    )
  })
  afterAll(async () => {
    await Promise.all(probes.map((probe) => probe.stop()))
    await lab?.close()
  })

  /** The agent, on an address of each family. */
  const start = (...args: string[]) =>
    startAgent(lab, world, { args: [`--host-ip=${ADDRESSES.node},${ADDRESSES.node6}`, ...args] })

  const completed = async () =>
    (await Promise.all(probes.map((probe) => probe.report()))).flatMap((report) => report.completed)

  /** Waits until every loop of every probe has made so many more requests; fails where one makes none. */
  async function moreRequests(count: number): Promise<void> {
    const before = await completed()
    const made = async () => Math.min(...(await completed()).map((now, loop) => now - (before[loop] ?? 0)))
    await expect.poll(made, { timeout: 45_000, interval: 20 }).toBeGreaterThanOrEqual(count)
  }

  /**
   * Fails when a request that was sent since the agent first guarded the node was answered with a secret. Of requests
   * that are dropped few are worth waiting for: each takes its second.
   */
  async function expectNoLeak(requests = 50): Promise<void> {
    await moreRequests(requests)
    for (const probe of probes) {
      const report = await probe.report(guardedSince)
      expect(report.leaks, `${probe.host}: ${JSON.stringify(report.outcomes)}`).toEqual([])
    }
  }

  /** Waits until the redirect works again: the agent answers a request that the instance would answer otherwise. */
  async function untilRepaired(): Promise<void> {
    const redirects = async (save: string) =>
      (await lab.node.mustRun([save, '-t', 'nat'])).includes(`:${APP_PORT}`)
    for (const save of ['iptables-save', 'ip6tables-save'])
      await expect.poll(() => redirects(save), { timeout: 30_000 }).toBe(true)
  }

  test.skipIf(given.installFirst)('the probe would see a leak: it does while no agent is there', async () => {
    for (const probe of probes) {
      const seen = async () => new Set((await probe.report()).leaks.map((leak) => leak.connection))
      await expect.poll(seen, { timeout: 30_000 }).toEqual(new Set(['new', 'kept']))
    }
  })

  test.runIf(given.installFirst)('install alone, before there is an agent', () => expectNoLeak(3))

  test('the agent starts', async () => {
    agent = await start()
    if (!given.installFirst) guardedSince = Date.now()
    await expectNoLeak()
  })

  test('kill -9, a while without an agent, and another start', async () => {
    agent.kill('SIGKILL')
    await agent.ended
    await expectNoLeak(100)
    agent = await start()
    await expectNoLeak()
  })

  test('a restart', async () => {
    await agent.stop()
    await expectNoLeak()
    agent = await start()
    await expectNoLeak()
  })

  test('a roll-out: the new agent beside the old one', async () => {
    const next = await start()
    await agent.stop()
    agent = next
    await expectNoLeak()
  })

  test('a roll-out to other settings whose new agent dies: the old one takes over again', async () => {
    const next = await start(`--app-port=${APP_PORT + 1}`)
    const leadTo = async (port: number) =>
      (await lab.node.mustRun(['iptables-save', '-t', 'nat'])).includes(`:${port}`)
    await expect.poll(() => leadTo(APP_PORT + 1), { timeout: 30_000 }).toBe(true)
    await expectNoLeak()
    next.kill('SIGKILL')
    await next.ended
    await untilRepaired()
    const since = Date.now()
    await expectNoLeak()
    for (const probe of probes) {
      const answered = async () => (await probe.report(since)).answered
      await expect.poll(answered, { timeout: 30_000 }).toMatchObject({ new: true, kept: true })
    }
  })

  test.each([1, 2, 3])('somebody flushes the nat table (%i)', async () => {
    for (const iptables of ['iptables', 'ip6tables'])
      await lab.node.mustRun([iptables, '-w', '-t', 'nat', '-F'])
    await untilRepaired()
    await expectNoLeak()
  })

  test('somebody flushes the filter table and then the nat table', async () => {
    await lab.node.mustRun(['iptables', '-w', '-F'])
    await expectNoLeak(200)
    await lab.node.mustRun(['iptables', '-w', '-t', 'nat', '-F'])
    await untilRepaired()
    await expectNoLeak()
  })

  test('somebody flushes every table that iptables knows', async () => {
    for (const table of ['mangle', 'nat', 'filter', 'raw']) {
      for (const iptables of ['iptables', 'ip6tables'])
        await lab.node.mustRun([iptables, '-w', '-t', table, '-F'])
    }
    await untilRepaired()
    await expectNoLeak()
  })

  // Nothing of netfilter is left until the repair, and the routing policy has to hold. It does not for what is delivered
  // on the node itself: there the table of the node's own addresses comes first. On EC2 nothing of that is on the node.
  test.runIf(given.metadata === 'vpc')('somebody reloads nftables.service again and again', async () => {
    for (let turn = 0; turn < 8; turn++) {
      await lab.node.mustRun(['nft', 'flush', 'ruleset'])
      await delay(turn * 120)
    }
    await untilRepaired()
    const since = Date.now()
    await expectNoLeak()
    // Both kinds of connection are answered again, the kept one too, which the flush has cut.
    for (const probe of probes) {
      const answered = async () => (await probe.report(since)).answered
      await expect.poll(answered, { timeout: 30_000 }).toMatchObject({ new: true, kept: true })
    }
  })

  test.runIf(given.metadata === 'vpc')('the same while no agent is there to repair it', async () => {
    await agent.stop()
    await lab.node.mustRun(['nft', 'flush', 'ruleset'])
    await expectNoLeak(3)
    agent = await start()
    await expectNoLeak()
  })

  test('somebody flushes the routing policy, as systemd-networkd does with what it does not know', async () => {
    const rules = async () => lab.node.mustRun(['ip', '-json', 'rule', 'show'])
    for (const family of ['-4', '-6'])
      await lab.node.mustRun(['ip', family, 'rule', 'flush', 'protocol', '107'])
    await expect.poll(rules, { timeout: 30_000 }).toContain('"protocol":"107"')
    await expectNoLeak()
  })

  test('a reload as kube-proxy does it, with its jump in front of everything', async () => {
    const rules = Array.from({ length: 500 }, (_, n) => {
      const target = `10.96.${n >> 8}.${n & 255}/32 -p tcp -m tcp --dport 443`
      return `-A KUBE-SERVICES -d ${target} -j RETURN`
    })
    const restore = [
      '*nat',
      ':KUBE-SERVICES - [0:0]',
      '-I PREROUTING 1 -j KUBE-SERVICES',
      ...rules,
      'COMMIT',
      '',
    ]
    for (let turn = 0; turn < 3; turn++) {
      await lab.node.mustRun(['iptables-restore', '-w', '--noflush'], { input: restore.join('\n') })
      await expectNoLeak()
    }
  })

  test('after a deliberate uninstall the node is as it was', async () => {
    await agent.stop()
    await expectNoLeak()
    const result = await runAgentCommand(lab, ['uninstall'], agentEnv(world))
    expect(result, result.stderr).toMatchObject({ code: 0 })
    const uninstalledAt = Date.now()
    for (const family of ['-4', '-6'])
      expect(await lab.node.mustRun(['ip', family, '-json', 'rule', 'show'])).not.toContain('107')
    for (const probe of probes) {
      // A request that the guard dropped on the way takes its second to give up.
      await expect
        .poll(async () => (await probe.report(uninstalledAt)).leakCount, { timeout: 30_000 })
        .toBeGreaterThan(0)
      const { requests, outcomes } = await probe.report()
      console.log(
        `leak test (${given.metadata}, ${probe.host}): ${requests} requests, ${JSON.stringify(outcomes)}`,
      )
    }
  })
})
