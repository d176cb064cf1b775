import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, APP_PORT, agentEnv, runAgentCommand, startAgent } from '../src/agent.ts'
import { furnish, runPod } from '../src/cluster.ts'
import { ADDRESSES, createLab, type Lab } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { type Probe, startProbe } from '../src/leak/probe.ts'
import { startWorld, type World } from '../src/world/world.ts'

const skip = mustSkip('the leak test')

// A pod asks for the node's secrets in a tight loop while everything happens to the agent and its rules that happens
// on nodes. `node`: the packets would be delivered on the node itself; `vpc`: they would be forwarded, as on EC2.
describe.skipIf(skip).each([
  { metadata: 'vpc', installFirst: false },
  { metadata: 'node', installFirst: true },
] as const)('no secret of the node reaches a pod ($metadata, install first: $installFirst)', (given) => {
  let lab: Lab
  let world: World
  let probe: Probe
  let agent: Agent
  let guardedSince = 0

  beforeAll(async () => {
    lab = await createLab({ metadata: given.metadata })
    world = await startWorld(lab)
    await furnish(world, ['reader'])
    if (given.installFirst) {
      const installed = await runAgentCommand(
        lab,
        ['install', `--host-ip=${ADDRESSES.node}`],
        agentEnv(world),
      )
      expect(installed, installed.stderr).toMatchObject({ code: 0 })
      guardedSince = Date.now()
    }
    const pod = await runPod(lab, world, 'prying', { role: 'reader' })
    probe = await startProbe(pod, world.canary)
    await delay(500)
  })
  afterAll(async () => {
    await probe?.stop()
    await lab?.close()
  })

  /** Fails when a request that was sent since the agent first guarded the node was answered with a secret. */
  async function expectNoLeak(): Promise<void> {
    await delay(700)
    const report = await probe.report(guardedSince)
    expect(report.leaks, JSON.stringify(report.outcomes)).toEqual([])
  }

  /** Waits until the redirect works again: the agent answers a request that the instance would answer otherwise. */
  async function untilRepaired(): Promise<void> {
    await expect
      .poll(async () => (await lab.node.mustRun(['iptables-save', '-t', 'nat'])).includes(`:${APP_PORT}`), {
        timeout: 5_000,
      })
      .toBe(true)
  }

  test.skipIf(given.installFirst)('the probe would see a leak: it does while no agent is there', async () => {
    const seen = async () => new Set((await probe.report()).leaks.map((leak) => leak.connection))
    await expect.poll(seen, { timeout: 10_000 }).toEqual(new Set(['new', 'kept']))
  })

  test.runIf(given.installFirst)('install alone, before there is an agent', expectNoLeak)

  test('the agent starts', async () => {
    agent = await startAgent(lab, world)
    if (!given.installFirst) guardedSince = Date.now()
    await expectNoLeak()
  })

  test('kill -9, a second without an agent, and another start', async () => {
    agent.kill('SIGKILL')
    await agent.ended
    await delay(1_000)
    await expectNoLeak()
    agent = await startAgent(lab, world)
    await expectNoLeak()
  })

  test('a restart', async () => {
    await agent.stop()
    await expectNoLeak()
    agent = await startAgent(lab, world)
    await expectNoLeak()
  })

  test('a roll-out: the new agent beside the old one', async () => {
    const next = await startAgent(lab, world)
    await agent.stop()
    agent = next
    await expectNoLeak()
  })

  test.each([1, 2, 3])('somebody flushes the nat table (%i)', async () => {
    await lab.node.mustRun(['iptables', '-w', '-t', 'nat', '-F'])
    await untilRepaired()
    await expectNoLeak()
  })

  test('somebody flushes the filter table and then the nat table', async () => {
    await lab.node.mustRun(['iptables', '-w', '-F'])
    await delay(2_000)
    await lab.node.mustRun(['iptables', '-w', '-t', 'nat', '-F'])
    await untilRepaired()
    await expectNoLeak()
  })

  test('somebody flushes every table that iptables knows', async () => {
    for (const table of ['mangle', 'nat', 'filter', 'raw']) {
      await lab.node.mustRun(['iptables', '-w', '-t', table, '-F'])
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
    const answered = async () => (await probe.report(since)).answered
    await expect.poll(answered, { timeout: 10_000 }).toMatchObject({ new: true, kept: true })
  })

  test.runIf(given.metadata === 'vpc')('the same while no agent is there to repair it', async () => {
    await agent.stop()
    await lab.node.mustRun(['nft', 'flush', 'ruleset'])
    // Requests that nobody stops have ended by then, on a busy machine too.
    const { requests } = await probe.report()
    await expect
      .poll(async () => (await probe.report()).requests, { timeout: 20_000 })
      .toBeGreaterThan(requests + 8)
    await expectNoLeak()
    agent = await startAgent(lab, world)
    await expectNoLeak()
  })

  test('somebody flushes the routing policy, as systemd-networkd does with what it does not know', async () => {
    const rules = async () => lab.node.mustRun(['ip', '-json', 'rule', 'show'])
    for (const family of ['-4', '-6'])
      await lab.node.mustRun(['ip', family, 'rule', 'flush', 'protocol', '107'])
    await expect.poll(rules, { timeout: 5_000 }).toContain('"protocol":"107"')
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
    // A request that the guard dropped on the way takes its second to give up.
    await expect
      .poll(async () => (await probe.report(uninstalledAt)).leakCount, { timeout: 5_000 })
      .toBeGreaterThan(0)
    const { requests, outcomes } = await probe.report()
    console.log(`leak test (${given.metadata}): ${requests} requests, ${JSON.stringify(outcomes)}`)
  })
})
