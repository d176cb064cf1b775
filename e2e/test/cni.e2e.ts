import { existsSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { METRICS_PORT, startAgent } from '../src/agent.ts'
import { curlCredentials } from '../src/clients/clients.ts'
import { furnish, registerPod } from '../src/cluster.ts'
import { addCniPod, type CniConfig, renameLink } from '../src/lab/cni.ts'
import { ADDRESSES, createLab, type Lab } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { startWorld } from '../src/world/world.ts'

const needs = ['ip', 'iptables', 'conntrack', 'curl']
if (!existsSync('/usr/lib/cni/bridge')) needs.push('containernetworking-plugins')

// Real CNI plugins attach the pods, and nobody tells the agent by which interface.
describe.skipIf(mustSkip('CNI plugins', needs))('--host-interface=auto with real CNI plugins', () => {
  let lab: Lab | undefined
  afterEach(() => lab?.close())

  async function podBehind(config: CniConfig, subnet: string, rename?: string) {
    lab = await createLab({ metadata: 'vpc', podNetwork: false })
    const world = await startWorld(lab)
    await furnish(world, ['reader'])
    const pod = await addCniPod(lab, 'reader', config, subnet)
    if (rename !== undefined && pod.hostInterface !== undefined)
      await renameLink(lab, pod.hostInterface, rename)
    await registerPod(world, 'reader', pod.address, { role: 'reader' })
    return { lab, world, pod }
  }

  const CASES: { title: string; config: CniConfig; subnet: string; rename?: string }[] = [
    { title: 'bridge', config: { type: 'bridge', bridge: 'cni0', isGateway: true }, subnet: '10.244.1.0/24' },
    {
      title: 'bridge of another name',
      config: { type: 'bridge', bridge: 'k8s-pods', isGateway: true },
      subnet: '10.244.1.0/24',
    },
    { title: 'ptp', config: { type: 'ptp' }, subnet: '10.244.2.0/24' },
    {
      title: 'ptp with names like Calico’s',
      config: { type: 'ptp' },
      subnet: '10.244.2.0/24',
      rename: 'cali0123456789a',
    },
  ]

  test.each(CASES)('$title: found, and the pod gets its role', async ({ config, subnet, rename }) => {
    const { lab, world, pod } = await podBehind(config, subnet, rename)
    const open = await pod.run([
      'curl',
      '-sS',
      '--max-time',
      '2',
      `http://${ADDRESSES.metadata}/latest/meta-data/ami-id`,
    ])
    expect(open.stdout).toMatch(/^ami-/)
    const agent = await startAgent(lab, world)
    const document = JSON.parse(await curlCredentials({ lab, world, pod }, 'imds')) as { AccessKeyId: string }
    const calls = await world.stsCalls()
    const issued = calls.find((call) => call.issued?.accessKeyId === document.AccessKeyId)
    expect(issued?.issued?.arn).toContain(':assumed-role/reader/')
    const evidence = agent
      .output()
      .split('\n')
      .filter((line) => line.includes('capture sources found'))
    console.log(`${pod.hostInterface ?? 'no interface'} ${rename ?? ''}: ${evidence.at(-1)}`)
  })

  test('macvlan: no rule of the node sees the pod’s packets, and the agent names the pod’s network', async () => {
    const range = { subnet: '192.168.77.0/24', rangeStart: '192.168.77.100', gateway: ADDRESSES.vpc }
    const { lab, world, pod } = await podBehind(
      { type: 'macvlan', master: 'eth0', ipam: { ranges: [[range]] } },
      range.subnet,
    )
    await startAgent(lab, world)
    const interfaceSays = async () =>
      (await world.get(`http://${ADDRESSES.node}:${METRICS_PORT}/readyz?verbose`)).body
    await expect.poll(interfaceSays).toContain('as with macvlan')
    // Why it cannot be helped on the node: the packets leave by the parent device, past every hook of the node.
    const open = await pod.run([
      'curl',
      '-sS',
      '--max-time',
      '2',
      `http://${ADDRESSES.metadata}/latest/meta-data/ami-id`,
    ])
    expect(open.stdout).toMatch(/^ami-/)
  })
})
