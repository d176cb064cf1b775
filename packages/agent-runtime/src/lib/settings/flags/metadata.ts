import type { Flag, FlagGroup } from '../flag.ts'
import {
  choice,
  cidr,
  count,
  duration,
  hostPort,
  ip,
  ipOfEachFamily,
  list,
  name,
  optional,
  port,
  text,
  toggle,
} from '../flag-kinds.ts'

const flag = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({ group: 'metadata', ...row })
const listening = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({
  group: 'listening' satisfies FlagGroup,
  ...row,
})

/** What pods are answered beside credentials. */
export const metadataFlags = {
  metadataAddr: flag({
    name: 'metadata-addr',
    kind: hostPort(80),
    default: '169.254.169.254',
    doc: "Address of the node's metadata service, with a port where it is not 80. With --iptables an IP address given here that is not the node's own is redirected too, and no pod reaches any port of it.",
    kube2iam: {},
  }),
  imdsTokens: flag({
    name: 'imds-tokens',
    kind: choice('optional', 'required'),
    default: 'optional',
    doc: 'Whether pods must use IMDSv2. required refuses requests without a token, which stops the simple forms of request forgery.',
  }),
  metadataAllow: flag({
    name: 'metadata-allow',
    kind: list(
      name(
        'a preset or a path',
        /^(\/?[A-Za-z0-9][A-Za-z0-9._/-]*)$/,
        'region or /latest/meta-data/instance-id',
      ),
    ),
    default: 'all-safe',
    doc: "What else of the node's metadata pods may read: presets (region, placement, instance, network, spot, tags, all-safe), exact paths, or kube2iam for everything that is no credential, which is insecure.",
    example: 'region,spot',
  }),
  stsDeniedAnswer: flag({
    name: 'sts-denied-answer',
    kind: choice('document', 'forbidden'),
    default: 'document',
    doc: 'How a pod is told that STS refuses its role for good: document is status 200 with a Code and a Message, which SDKs log; forbidden is an empty 403.',
  }),
  allowCidr: flag({
    name: 'allow-cidr',
    kind: list(cidr),
    default: '',
    doc: 'Source addresses beside pods that may read plain metadata. They never get credentials.',
    example: '10.0.0.0/8',
  }),
  podRequestRate: flag({
    name: 'pod-request-rate',
    kind: count(1, 100_000),
    default: '500',
    doc: 'Requests per second that one pod may make, averaged; more are answered 429.',
  }),
  podConnections: flag({
    name: 'pod-connections',
    kind: count(1, 10_000),
    default: '128',
    doc: 'Connections that one pod may have open from each of its addresses.',
  }),
  containerCredentials: flag({
    name: 'container-credentials',
    kind: toggle,
    default: 'false',
    doc: 'Serve the container-credentials protocol too, for pods that present a service-account token: 169.254.170.2, 169.254.170.23 and fd00:ec2::23.',
  }),
  containerCredentialsAudience: flag({
    name: 'container-credentials-audience',
    kind: name('an audience', /^\S+$/, 'pods.eks.amazonaws.com'),
    default: 'pods.eks.amazonaws.com',
    doc: 'Audience that those tokens must be for.',
  }),
}

/** Where the agent listens, and for how long it waits. */
export const listeningFlags = {
  appPort: listening({
    name: 'app-port',
    kind: port,
    default: '8181',
    doc: "Port that pods' requests are redirected to.",
    kube2iam: {},
  }),
  bindAddresses: listening({
    name: 'bind-address',
    kind: ipOfEachFamily,
    default: '',
    doc: 'Address to listen on for pods, or one of each family. Unset: --host-ip, to which the redirection sends; without that, every address, which is logged as unwise.',
    example: '10.0.3.17',
  }),
  metricsPort: listening({
    name: 'metrics-port',
    kind: optional(port),
    default: '',
    doc: 'Port for /metrics, /healthz, /readyz and /debug. Unset: --app-port, where pods can read metrics too.',
    kube2iam: {
      default: '8181',
      difference:
        'Unset means the same as --app-port, as its help says; in kube2iam it stays 8181 when --app-port changes. Sharing the port is logged as unwise.',
    },
  }),
  metricsAddress: listening({
    name: 'metrics-address',
    kind: optional(ip),
    default: '',
    doc: 'Address of the metrics port. Unset: every address, for Prometheus and the kubelet; of IPv6 too where --host-ip has one.',
  }),
  containerCredentialsPort: listening({
    name: 'container-credentials-port',
    kind: optional(port),
    default: '',
    doc: 'A port of its own for the container-credentials protocol. Unset: it is served on --app-port, by the addresses that clients ask.',
  }),
  runDirectory: listening({
    name: 'run-directory',
    kind: text,
    default: '/run/kube2iam',
    doc: 'Directory on the node for the key of metadata tokens, which must survive a restart of the agent.',
  }),
  portsFile: listening({
    name: 'ports-file',
    kind: text,
    default: '',
    doc: 'File to write the addresses that the agent listens on to, as JSON. Lets a port be 0, chosen by the system.',
  }),
  migrateRequests: listening({
    name: 'migrate-requests',
    kind: choice('auto', 'off'),
    default: 'auto',
    doc: 'Whether the agent, with --iptables, sets net.ipv4.tcp_migrate_req of the node to 1 at start, where it may: a connection that waits to be accepted when one agent stops is then handed to the next one, and otherwise reset (Linux 5.14 and later). In a container it may with the component migrate-requests of deploy/kustomize.',
  }),
  shutdownTimeout: listening({
    name: 'shutdown-timeout',
    // With the second that the rest takes, less than the grace period of the DaemonSet in deploy/kustomize.
    kind: duration(100, 13_000),
    default: '4s',
    doc: "How long requests under way may take to finish after SIGTERM, at most 13 s. A second later the process ends in any case; the pod's grace period must be longer (15 s in deploy/kustomize).",
  }),
}
