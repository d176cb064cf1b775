import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, agentEnv, runAgentCommand, startAgent } from '../src/agent.ts'
import { furnish, NODE_NAME, runPod } from '../src/cluster.ts'
import { ADDRESSES, createLab, type Lab, type Pod } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { NODE_ROLE, startWorld, type World } from '../src/world/world.ts'

interface Placing {
  readonly selector?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
}

const TAINT = { key: 'kube2iam.io/agent-not-ready', effect: 'NoSchedule' }
const OTHER = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

// Coming and going, as an operator sees it: the startup taint, the state of the rules, a restart, an uninstall.
describe.skipIf(mustSkip('the life of an agent'))('the life of an agent on a node', () => {
  let lab: Lab
  let world: World
  let pod: Pod
  let agent: Agent

  beforeAll(async () => {
    lab = await createLab()
    world = await startWorld(lab)
    await furnish(world, ['reader'])
    await world.apply({ kind: 'Node', metadata: { name: NODE_NAME }, spec: { taints: [OTHER, TAINT] } })
    await world.apply({ kind: 'DaemonSet', metadata: { namespace: 'kube-system', name: 'kube2iam' } })
    pod = await runPod(lab, world, 'reader', { role: 'reader' })
  })
  afterAll(() => lab?.close())

  const flags = ['--daemonset=kube-system/kube2iam', `--node-taint=${TAINT.key}:${TAINT.effect}`]
  const ROLES = `http://${ADDRESSES.metadata}/latest/meta-data/iam/security-credentials/`
  const roleOf = async () => (await pod.run(['curl', '-sS', '--max-time', '2', ROLES])).stdout
  const taints = async () => {
    const [node] = (await world.list('Node')) as { spec: { taints?: unknown[] } }[]
    return node?.spec.taints ?? []
  }
  /** The DaemonSet with a node selector, and the node with labels. */
  const dress = async ({ selector = {}, labels = {} }: Placing) => {
    await world.apply({ kind: 'Node', metadata: { name: NODE_NAME, labels }, spec: { taints: [OTHER] } })
    await world.apply({
      kind: 'DaemonSet',
      metadata: { namespace: 'kube-system', name: 'kube2iam' },
      spec: { template: { spec: { nodeSelector: selector } } },
    })
  }
  const command = (...args: readonly string[]) =>
    runAgentCommand(lab, [...args, `--host-ip=${ADDRESSES.node}`], agentEnv(world))

  test('before it, status says that nothing is intercepted, and ends with 1', async () => {
    expect(await command('iptables', 'status', '--json')).toMatchObject({ code: 1 })
    expect(await roleOf()).toBe(NODE_ROLE)
  })

  test('when it is ready, its startup taint is off the node, and no other', async () => {
    expect(await taints()).toEqual([OTHER, TAINT])
    agent = await startAgent(lab, world, { args: flags })
    await expect.poll(taints).toEqual([OTHER])
    expect(await roleOf()).toBe('reader')
  })

  test('while it runs, status says so with 0, and a plan beside it opens nothing', async () => {
    const status = await command('iptables', 'status', '--json')
    expect(status, status.stdout).toMatchObject({ code: 0 })
    expect(JSON.parse(status.stdout)).toMatchObject({ state: 'in-place' })
    const plan = await command('iptables', 'plan', '--json')
    // It may plan to take over from the other instance, but nothing that would open the node in between.
    const { steps } = JSON.parse(plan.stdout) as { steps: { op: string; chain?: string }[] }
    expect(steps.filter(({ op }) => op === 'delete-chain' || op === 'delete-table')).toEqual([])
  })

  test('a restart leaves the rules: its DaemonSet is still there', async () => {
    await agent.stop()
    expect(agent.output()).toMatch(/DaemonSet kube-system\/kube2iam is still there/)
    expect(await roleOf()).toBe('')
    agent = await startAgent(lab, world, { args: flags })
    expect(await roleOf()).toBe('reader')
  })

  test('while the API server is away, stopping leaves the rules too: in doubt it stays closed', async () => {
    await world.fault('api', { outage: true })
    await agent.stop()
    expect(await roleOf()).toBe('')
    await world.fault('api', { outage: false })
    agent = await startAgent(lab, world, { args: flags })
    expect(await roleOf()).toBe('reader')
  })

  // The DaemonSet controller ends the agent of a node that its DaemonSet does not choose any more, and starts no other.
  test.each([
    ['the node selector', () => dress({ selector: { pool: 'other' }, labels: { pool: 'web' } })],
    ['the labels of the node', () => dress({ selector: { pool: 'web' }, labels: { pool: 'other' } })],
  ])('once this node is not chosen any more by %s, stopping gives it back', async (_what, change) => {
    await dress({ selector: { pool: 'web' }, labels: { pool: 'web' } })
    // As long as they do, a restart leaves the rules.
    await agent.stop()
    expect(await roleOf()).toBe('')
    agent = await startAgent(lab, world, { args: flags })
    expect(await roleOf()).toBe('reader')

    await change()
    await agent.stop()
    expect(agent.output()).toMatch(/kube-system\/kube2iam does not choose node node-a any more/)
    expect(await roleOf()).toBe(NODE_ROLE)
    for (const list of [['iptables-save'], ['ip6tables-save'], ['nft', 'list', 'ruleset']]) {
      expect((await lab.node.run(list)).stdout).not.toMatch(/kube2iam/i)
    }
    await dress({})
    agent = await startAgent(lab, world, { args: flags })
  })

  test('once its DaemonSet is deleted, stopping gives the node back', async () => {
    await world.delete('DaemonSet', 'kube-system', 'kube2iam')
    await agent.stop()
    expect(await roleOf()).toBe(NODE_ROLE)
    for (const list of [['iptables-save'], ['ip6tables-save'], ['nft', 'list', 'ruleset']]) {
      expect((await lab.node.run(list)).stdout).not.toMatch(/kube2iam/i)
    }
  })

  test.each(['iptables-nft', 'iptables-legacy', 'nft'])(
    'with --iptables-backend=%s it does the same, and uninstall finds it unasked',
    async (backend) => {
      agent = await startAgent(lab, world, { args: [`--iptables-backend=${backend}`] })
      expect(await roleOf()).toBe('reader')
      agent.kill('SIGKILL')
      await agent.ended
      expect(await roleOf()).toBe('')
      const removed = await command('uninstall')
      expect(removed, removed.stderr).toMatchObject({ code: 0 })
      expect(await roleOf()).toBe(NODE_ROLE)
    },
  )
})
