import type { Flag, FlagGroup } from '../flag.ts'
import { choice, cidr, ipOfEachFamily, list, name, optional, text, toggle, toggleOr } from '../flag-kinds.ts'

const flag = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({ group: 'interception', ...row })
const telemetry = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({
  group: 'telemetry' satisfies FlagGroup,
  ...row,
})

/** One name, kiam's `!` before it perhaps, or several that are joined by commas. IFNAMSIZ is 16 with its final zero. */
const INTERFACE = String.raw`[A-Za-z0-9_.@-]{0,14}[A-Za-z0-9_.@+-]`
const INTERFACES = new RegExp(`^(!?${INTERFACE}|${INTERFACE}(,${INTERFACE})+)$`)

/** How pods' packets come to the agent. */
export const interceptionFlags = {
  iptables: flag({
    name: 'iptables',
    kind: toggle,
    default: 'false',
    doc: "Put the rules in place that send pods' metadata requests here, keep them, and be ready only when they work. Needs --host-ip.",
    kube2iam: {
      difference:
        'Chains of its own, IPv6 too, repaired when somebody changes them, never removed by a restart; kube2iam appends one rule once.',
    },
  }),
  hostIps: flag({
    name: 'host-ip',
    kind: ipOfEachFamily,
    default: '',
    doc: 'Address of this node that the rules send to and the agent listens on; status.hostIP in a DaemonSet. With an address of the other family too (status.hostIPs: 10.0.3.17,fd00::17) pods are served over both; the metadata addresses of a family without one are blocked for pods.',
    kube2iam: {
      difference:
        'One address of each family, where kube2iam takes one in all. Two of one family are refused; in kube2iam the last one counts.',
    },
    example: '$(HOST_IP)',
  }),
  hostInterface: flag({
    name: 'host-interface',
    kind: name('an interface', INTERFACES, 'cali+, cni0, !eth0, eni+,vlan+ or auto'),
    default: 'auto',
    doc: "Interface that pods' packets come in by; + at the end stands for any rest, ! excludes, commas join several. auto finds out from the node.",
    kube2iam: {
      default: 'docker0',
      difference:
        'Found out from the node by default. An interface that carries no pod is warned about and keeps the agent from being ready.',
    },
  }),
  iptablesBackend: flag({
    name: 'iptables-backend',
    kind: choice('auto', 'nft', 'iptables-nft', 'iptables-legacy'),
    default: 'auto',
    doc: 'What the rules are made with: iptables-nft, iptables-legacy or nftables itself (nft). auto takes what the node already uses.',
  }),
  guardRouting: flag({
    name: 'guard-routing',
    kind: toggle,
    default: 'true',
    doc: "Keep a guard in the routing policy too (ip rule, protocol 107, preferences 6 to 8), which holds when all of netfilter is flushed. Off where a pod's own routes call the metadata address on-link and the node answers for it by proxy ARP: what is not routed is not answered for, so those pods would never get as far as the redirect.",
  }),
  iptablesCleanup: flag({
    name: 'iptables-cleanup',
    kind: toggleOr({ true: 'always', false: 'never' }, 'auto', 'always', 'never'),
    default: 'auto',
    doc: "Whether stopping removes the rules: auto only when the DaemonSet itself is being deleted, or its node selector or required node affinity clearly does not choose this node any more; always and never as they say. Without the rules pods reach the node's role.",
  }),
  daemonset: flag({
    name: 'daemonset',
    kind: optional(name('a DaemonSet', /^[a-z0-9.-]+\/[a-z0-9.-]+$/, 'kube-system/kube2iam')),
    default: '',
    doc: "The agent's own DaemonSet, as namespace/name, by which --iptables-cleanup=auto tells being uninstalled from being restarted: it must have been there once since the agent started, and have chosen this node then to be missed when it does not any more, which takes reading the node. Unset: the rules stay.",
    example: 'kube-system/kube2iam',
  }),
  podCidrs: flag({
    name: 'pod-cidr',
    kind: list(cidr),
    default: '',
    doc: "Address ranges of this node's pods, by which packets are told where no interface can be.",
    example: '10.4.7.0/24',
  }),
  interceptionProbe: flag({
    name: 'interception-probe',
    kind: toggle,
    default: 'true',
    doc: 'Try the redirection once at start, by a connection from a network namespace that is attached as a pod is. Needs CAP_SYS_ADMIN, which the DaemonSet of deploy/ has with the component interception-probe only; without it, /readyz and kube2iam_part_ok say interception-seen once the first connection of a pod was redirected.',
  }),
}

/** What the agent says of itself. */
export const telemetryFlags = {
  logFormat: telemetry({
    name: 'log-format',
    kind: choice('text', 'json'),
    default: 'text',
    doc: 'Format of the log: text (key=value) or json.',
    kube2iam: { difference: 'A word that is neither is refused; kube2iam takes it for text.' },
  }),
  logLevel: telemetry({
    name: 'log-level',
    kind: choice('trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'panic'),
    default: 'info',
    doc: 'Least level that is logged.',
    kube2iam: {},
  }),
  verbose: telemetry({
    name: 'verbose',
    kind: toggle,
    default: 'false',
    doc: 'Log at debug level, whatever --log-level says.',
    kube2iam: {},
  }),
  debug: telemetry({
    name: 'debug',
    kind: toggle,
    default: 'false',
    doc: 'Serve /debug/store, on the metrics port only and to the node itself only.',
    kube2iam: { difference: 'Not on the port that pods reach; needs a --metrics-port of its own.' },
  }),
  version: telemetry({
    name: 'version',
    kind: toggle,
    default: 'false',
    doc: 'Print the version and exit.',
    kube2iam: {},
  }),
  config: telemetry({
    name: 'config',
    kind: text,
    default: '',
    doc: 'YAML file with settings by these names, and with policy rules. The command line and the environment win.',
  }),
}
