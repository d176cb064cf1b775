import type { InterfaceMatch } from './rule.ts'

interface WellKnown {
  /** As iptables writes it. */
  readonly pattern: string
  readonly network: string
}

/** By which interface pods' packets reach the node, by the network that gives the interfaces their names. */
const WELL_KNOWN: readonly WellKnown[] = [
  { pattern: 'cali+', network: 'Calico or Canal' },
  { pattern: 'eni+', network: 'the Amazon VPC CNI' },
  { pattern: 'lxc+', network: 'Cilium' },
  { pattern: 'cni0', network: 'flannel or the bridge plugin' },
  { pattern: 'cbr0', network: 'kubenet' },
  { pattern: 'weave', network: 'Weave Net' },
  { pattern: 'kube-bridge', network: 'kube-router' },
  { pattern: 'tun0', network: 'OpenShift SDN' },
  { pattern: 'antrea-gw0', network: 'Antrea' },
  { pattern: 'ovn-k8s-mp0', network: 'OVN-Kubernetes' },
  { pattern: 'genev_sys+', network: 'Geneve' },
  { pattern: 'flannel+', network: 'flannel' },
  { pattern: 'azv+', network: 'Azure' },
  { pattern: 'vlan+', network: 'the Amazon VPC CNI, pods with security groups' },
  { pattern: 'veth+', network: 'the ptp plugin or kindnet' },
]

/** What a route's device is called where packets come in by another than they go out by. */
const COMES_IN_BY: Readonly<Record<string, string>> = { cilium_host: 'lxc+', cilium_net: 'lxc+' }

/** The pattern for the device towards a pod: `cali1f2e…` becomes `cali+`, a bridge stays itself. */
export function patternOfDevice(device: string): string {
  return (
    COMES_IN_BY[device] ?? WELL_KNOWN.find(({ pattern }) => matchesName(pattern, device))?.pattern ?? device
  )
}

/** The well-known patterns that one of these interfaces fits, without bridge ports where their bridge is there. */
export function wellKnownAmong(names: readonly string[]): readonly WellKnown[] {
  const found = WELL_KNOWN.filter(({ pattern }) => names.some((name) => matchesName(pattern, name)))
  return found.length > 1 ? found.filter(({ pattern }) => pattern !== 'veth+') : found
}

/** Whether an interface's name fits iptables' pattern, where a trailing `+` stands for anything. */
export const matchesName = (pattern: string, name: string): boolean =>
  pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern

export const matchesInterface = ({ name, negated }: InterfaceMatch, device: string): boolean =>
  matchesName(name, device) !== negated
