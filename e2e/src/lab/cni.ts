import { mustRun } from './command.ts'
import { ip, type Lab, type Pod } from './lab.ts'

/** A network configuration as in /etc/cni/net.d, for one plugin. */
export interface CniConfig {
  readonly type: 'bridge' | 'ptp' | 'macvlan'
  readonly [key: string]: unknown
}

export interface CniPod extends Pod {
  /** Interface of the node namespace behind which the pod is; undefined when the plugin makes none. */
  readonly hostInterface: string | undefined
}

const PLUGINS = '/usr/lib/cni'

/** Makes a pod's namespace and has a real CNI plugin attach it to the node, as the container runtime does. */
export async function addCniPod(lab: Lab, name: string, config: CniConfig, subnet: string): Promise<CniPod> {
  const pod = await lab.addNamespace(`pod-${name}`)
  const before = await links(lab)
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet }]],
    routes: [{ dst: '0.0.0.0/0' }],
    ...(config['ipam'] as object | undefined),
    dataDir: `${lab.folder}/cni`,
  }
  const environment = {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: pod.name.replaceAll(/[^a-zA-Z0-9_.-]/g, ''),
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: PLUGINS,
  }
  const input = JSON.stringify({
    cniVersion: '0.4.0',
    name: `e2e-${config.type}`,
    ...config,
    ipam,
  })
  const output = await lab.node.mustRun([`${PLUGINS}/${config.type}`], { env: environment, input })
  const { ips } = JSON.parse(output) as { ips: { address: string }[] }
  const address = ips[0]?.address.split('/')[0] ?? ''
  const made = (await links(lab)).filter((link) => !before.includes(link))
  // The bridge plugin makes the bridge too, with the first pod.
  const hostInterface = made.find((link) => link.startsWith('veth'))
  return { ...pod, address, address6: undefined, hostInterface }
}

/** Gives the node's end of a pod's link another name, such as Calico's. */
export async function renameLink(lab: Lab, from: string, to: string): Promise<void> {
  await ip(lab.node, `link set ${from} down`)
  await ip(lab.node, `link set ${from} name ${to}`)
  await ip(lab.node, `link set ${to} up`)
}

async function links(lab: Lab): Promise<string[]> {
  const listing = await mustRun(['ip', '-n', lab.node.name, '-j', 'link', 'show'])
  return (JSON.parse(listing) as { ifname: string }[]).map((link) => link.ifname)
}
