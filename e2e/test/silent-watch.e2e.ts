import { existsSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { startAgent } from '../src/agent.ts'
import { curlCredentials } from '../src/clients/clients.ts'
import { furnish, registerPod } from '../src/cluster.ts'
import { addCniPod, type CniConfig } from '../src/lab/cni.ts'
import { ADDRESSES, createLab, ip, type Lab, type Pod } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { startWorld } from '../src/world/world.ts'

const needs = ['ip', 'iptables', 'conntrack', 'curl']
if (!existsSync('/usr/lib/cni/bridge')) needs.push('containernetworking-plugins')
const ROLES = `http://${ADDRESSES.metadata}/latest/meta-data/iam/security-credentials/`

/** What the pod is told to be its role: a name, or the status where it is told none. */
async function roleOf(pod: Pod): Promise<string> {
  const { stdout } = await pod.run(['curl', '-sS', '--max-time', '5', '-w', '%{http_code}', ROLES])
  return stdout.endsWith('200') ? stdout.slice(0, -3) : stdout
}

// Real CNI plugins move an address from one pod to the next while the watch is open and says nothing more.
describe.skipIf(mustSkip('an address that moves behind a silent watch', needs))('a silent watch', () => {
  let lab: Lab | undefined
  afterEach(() => lab?.close())

  const CASES: { title: string; config: CniConfig; subnet: string }[] = [
    { title: 'bridge', config: { type: 'bridge', bridge: 'cni0', isGateway: true }, subnet: '10.244.1.0/24' },
    { title: 'ptp', config: { type: 'ptp' }, subnet: '10.244.2.0/24' },
  ]

  test.each(CASES)('$title: the next pod at an address is never answered as the former', async (which) => {
    const { config, subnet } = which
    lab = await createLab({ metadata: 'vpc', podNetwork: false })
    const world = await startWorld(lab)
    await furnish(world, ['former', 'next'])
    const former = await addCniPod(lab, 'former', config, subnet)
    await registerPod(world, 'former', former.address, { role: 'former' })
    await startAgent(lab, world)
    await curlCredentials({ lab, world, pod: former }, 'imds')
    expect(await roleOf(former)).toBe('former')

    await world.fault('api', { stallWatches: true })
    await ip(lab.node, `link delete ${former.hostInterface}`)
    await former.close()
    // Another network's allocations: the first address is free there.
    const next = await addCniPod(lab, 'next', { ...config, name: 'again' }, subnet)
    expect(next.address).toBe(former.address)
    // The kubelet has told nothing yet: even the API server says that it is the former pod's.
    for (let times = 0; times < 3; times += 1) expect(await roleOf(next)).toBe('503')

    await world.delete('Pod', 'apps', 'former')
    await registerPod(world, 'next', next.address, { role: 'next' })
    const answers: string[] = []
    await expect
      .poll(async () => answers[answers.push(await roleOf(next)) - 1], { timeout: 20_000, interval: 100 })
      .toBe('next')
    expect(answers).not.toContain('former')
    const document = JSON.parse(await curlCredentials({ lab, world, pod: next }, 'imds')) as {
      AccessKeyId: string
    }
    const issued = (await world.stsCalls()).find((call) => call.issued?.accessKeyId === document.AccessKeyId)
    expect(issued?.issued?.arn).toContain(':assumed-role/next/')
  })
})
