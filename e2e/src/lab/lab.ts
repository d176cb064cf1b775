import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mustRun } from './command.ts'
import { createNetworkNamespace, type NetworkNamespace } from './network-namespace.ts'
import { ownPrefix } from './owner.ts'

/** Addresses of the lab; the same in every lab, because no two labs can see each other. */
export const ADDRESSES = {
  metadata: '169.254.169.254',
  metadata6: 'fd00:ec2::254',
  /** The node's own address on its uplink, which is its host IP. */
  node: '192.168.77.10',
  node6: 'fd00:77::10',
  /** The far end of the uplink: the VPC. */
  vpc: '192.168.77.1',
  vpc6: 'fd00:77::1',
  /** The bridge, which is every pod's default gateway. */
  bridge: '10.244.0.1',
  bridge6: 'fd00:10:244::1',
  podCidr: '10.244.0.0/24',
  podCidr6: 'fd00:10:244::/64',
} as const

export interface LabOptions {
  /**
   * Where 169.254.169.254 is. `node`: on the loopback device of the node namespace, so that a pod's packets are
   * delivered locally; `vpc`: behind the uplink as on EC2, so that they are forwarded. `node` by default.
   */
  readonly metadata?: 'node' | 'vpc'
  /** Whether the node has the bridge cni0 for pods; true by default. False leaves that to a CNI plugin. */
  readonly podNetwork?: boolean
}

export interface PodOptions {
  readonly address: string
  readonly address6?: string
  /**
   * `bridge`: a port of cni0 (the default). `routed`: no bridge, a /32 route to a host interface of the given name,
   * as Calico and the VPC CNI do it.
   */
  readonly attach?: 'bridge' | { readonly routed: string }
}

export interface Pod extends NetworkNamespace {
  readonly address: string
  readonly address6: string | undefined
}

/** A node on this machine: namespaces for the node, the VPC behind it, and each pod. */
export interface Lab {
  readonly node: NetworkNamespace
  /** What lies behind the node's uplink `eth0`. It routes nowhere, so no packet of the lab leaves the machine. */
  readonly vpc: NetworkNamespace
  /** The namespace in which the metadata address is. */
  readonly metadata: NetworkNamespace
  /** The address at which pods and agent reach servers that listen in `metadata`. */
  readonly worldAddress: string
  /** A folder of this lab, removed with it. */
  readonly folder: string
  addPod(name: string, options: PodOptions): Promise<Pod>
  /** Makes a namespace that is not attached to anything, for tests that attach it themselves. */
  addNamespace(name: string): Promise<NetworkNamespace>
  /** Has something undone when the lab closes, before its namespaces go; last in, first out. */
  onClose(undo: () => Promise<void>): void
  /** Removes everything that the lab made. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

let labs = 0

/** Builds the node: uplink eth0 to the VPC, bridge cni0 for pods, the sysctls that the kubelet and CNI plugins set. */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const prefix = `${ownPrefix()}${process.pid}-${labs++}-`
  const folder = mkdtempSync(join(tmpdir(), prefix))
  const made: NetworkNamespace[] = []
  const undos: (() => Promise<void>)[] = []

  async function addNamespace(name: string): Promise<NetworkNamespace> {
    const namespace = await createNetworkNamespace(prefix + name)
    made.push(namespace)
    return namespace
  }

  async function close(): Promise<void> {
    for (const undo of undos.splice(0).toReversed()) await undo()
    // Pods first, the node after them, the VPC last: the reverse of how they were made.
    for (const namespace of made.splice(0).toReversed()) await namespace.close()
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    const vpc = await addNamespace('vpc')
    const node = await addNamespace('node')
    await connect(node, vpc)
    await node.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
    if (options.podNetwork !== false) await makeBridge(node)
    const metadata = options.metadata === 'vpc' ? vpc : node
    await ip(metadata, `address add ${ADDRESSES.metadata}/32 dev lo`)
    await ip(metadata, `-6 address add ${ADDRESSES.metadata6}/128 dev lo nodad`)
    return {
      node,
      vpc,
      metadata,
      worldAddress: metadata === vpc ? ADDRESSES.vpc : ADDRESSES.node,
      folder,
      addNamespace,
      async addPod(name, podOptions) {
        const pod = await addNamespace(`pod-${name}`)
        await attach(node, pod, podOptions)
        return { ...pod, address: podOptions.address, address6: podOptions.address6 }
      },
      onClose: (undo) => void undos.push(undo),
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** `ip -n <namespace> <words>`. */
export async function ip(namespace: NetworkNamespace, words: string): Promise<string> {
  return mustRun(['ip', '-n', namespace.name, ...words.split(' ')])
}

async function connect(node: NetworkNamespace, vpc: NetworkNamespace): Promise<void> {
  await ip(node, `link add eth0 type veth peer name eth0 netns ${vpc.name}`)
  await ip(node, `address add ${ADDRESSES.node}/24 dev eth0`)
  await ip(node, `-6 address add ${ADDRESSES.node6}/64 dev eth0 nodad`)
  await ip(node, 'link set eth0 up')
  await ip(vpc, `address add ${ADDRESSES.vpc}/24 dev eth0`)
  await ip(vpc, `-6 address add ${ADDRESSES.vpc6}/64 dev eth0 nodad`)
  await ip(vpc, 'link set eth0 up')
  await ip(node, `route add default via ${ADDRESSES.vpc}`)
  await ip(node, `-6 route add default via ${ADDRESSES.vpc6}`)
  // The VPC routes pod addresses to the node, as the AWS VPC CNI or a route table does: no masquerading, so that
  // a server in the VPC sees which pod a packet came from.
  await ip(vpc, `route add 10.244.0.0/16 via ${ADDRESSES.node}`)
  await ip(vpc, `-6 route add fd00:10:244::/48 via ${ADDRESSES.node6}`)
  // Whatever else anybody asks for ends here, at once and visibly.
  await ip(vpc, 'route add unreachable default')
  await vpc.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
}

async function makeBridge(node: NetworkNamespace): Promise<void> {
  await ip(node, 'link add cni0 type bridge')
  await ip(node, `address add ${ADDRESSES.bridge}/24 dev cni0`)
  await ip(node, `-6 address add ${ADDRESSES.bridge6}/64 dev cni0 nodad`)
  await ip(node, 'link set cni0 up')
}

let hostLinks = 0

async function attach(node: NetworkNamespace, pod: NetworkNamespace, options: PodOptions): Promise<void> {
  const routed =
    options.attach !== undefined && options.attach !== 'bridge' ? options.attach.routed : undefined
  const hostLink = routed ?? `veth${(hostLinks++).toString(36)}`
  await ip(node, `link add ${hostLink} type veth peer name eth0 netns ${pod.name}`)
  if (routed === undefined) {
    await ip(node, `link set ${hostLink} master cni0 up`)
    await ip(pod, `address add ${options.address}/24 dev eth0`)
    await ip(pod, 'link set eth0 up')
    await ip(pod, `route add default via ${ADDRESSES.bridge}`)
  } else {
    // 169.254.1.1 is the gateway that Calico and the VPC CNI give to pods; proxy_arp makes the host answer for it.
    await node.sysctl(`net.ipv4.conf.${hostLink}.proxy_arp=1`)
    await ip(node, `link set ${hostLink} up`)
    await ip(node, `route add ${options.address}/32 dev ${hostLink}`)
    await ip(pod, `address add ${options.address}/32 dev eth0`)
    await ip(pod, 'link set eth0 up')
    await ip(pod, 'route add 169.254.1.1 dev eth0 scope link')
    await ip(pod, 'route add default via 169.254.1.1')
  }
  if (options.address6 !== undefined && routed === undefined) {
    await ip(pod, `-6 address add ${options.address6}/64 dev eth0 nodad`)
    await ip(pod, `-6 route add default via ${ADDRESSES.bridge6}`)
  }
}
