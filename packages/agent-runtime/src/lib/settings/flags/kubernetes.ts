import type { Flag } from '../flag.ts'
import { choice, duration, name, optional, text, toggle, url } from '../flag-kinds.ts'

const flag = <Value>(row: Omit<Flag<Value>, 'group'>): Flag<Value> => ({ group: 'kubernetes', ...row })

/** How the agent finds the API server, and what it watches there. */
export const kubernetesFlags = {
  kubeconfig: flag({
    name: 'kubeconfig',
    kind: text,
    default: '',
    doc: 'Path of a kubeconfig. Unset: --api-server, else the service account of the pod that the agent runs in.',
    kube2iam: {},
  }),
  apiServer: flag({
    name: 'api-server',
    kind: optional(url('https', 'http')),
    default: '',
    doc: 'URL of the API server.',
    kube2iam: {
      difference:
        'Works without --api-token too (client-go then silently used the in-cluster configuration), and an http:// URL is accepted for tests.',
    },
    example: 'https://10.0.0.1:6443',
  }),
  apiToken: flag({
    name: 'api-token',
    kind: text,
    default: '',
    doc: 'Bearer token for --api-server. A token on a command line is seen by everybody on the node: prefer --api-token-file, --kubeconfig or the service account.',
    kube2iam: {},
    secret: true,
  }),
  apiTokenFile: flag({
    name: 'api-token-file',
    kind: text,
    default: '',
    doc: 'Path of the bearer token for --api-server. Read again for each request, so that a rotated token is picked up.',
  }),
  apiServerCaFile: flag({
    name: 'api-server-ca-file',
    kind: text,
    default: '',
    doc: 'Path of the certificate authority, in PEM, that --api-server is verified by. Read again for each request. Unset: the public authorities that Node.js knows.',
  }),
  insecure: flag({
    name: 'insecure',
    kind: toggle,
    default: 'false',
    doc: "Do not verify the API server's certificate. For tests only; logged as a warning.",
    kube2iam: {},
  }),
  node: flag({
    name: 'node',
    kind: optional(
      name('a node name', /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'ip-10-0-3-17.ec2.internal'),
    ),
    default: '',
    doc: 'Name of the node whose pods are served. Unset: the pods of the whole cluster are watched, which costs memory and the API server.',
    kube2iam: {},
  }),
  cacheResyncPeriod: flag({
    name: 'cache-resync-period',
    kind: duration(),
    default: '30m0s',
    doc: 'Accepted and without effect: the watch is kept complete by bookmarks, and replaced as a whole whenever it was interrupted.',
    kube2iam: {
      difference: "Without effect. kube2iam's resync replays its own memory and asks the API server nothing.",
    },
  }),
  resolveDuplicateCacheIps: flag({
    name: 'resolve-duplicate-cache-ips',
    kind: toggle,
    default: 'false',
    doc: 'Ask the API server about a single address, at most once a second each, when the watch may be behind or two pods claim the address. It may be behind when it is lost, and, of an address of whose interface the node tells nothing, when it was silent for 5 seconds.',
    kube2iam: {
      difference:
        'Pending pods count too (init containers need credentials), and the query is not made on every request.',
    },
  }),
  identityEvidence: flag({
    name: 'identity-evidence',
    kind: choice('node', 'none'),
    default: 'node',
    doc: "What else tells who an address is, beside the watch. node: an address that the node reaches by an interface younger than the news of its pod is not taken for that pod's any more; the API server is asked about it, at most once a second, and requests are refused meanwhile. It needs the host's network, and a CNI that gives each pod an interface on the node, with a route of its own or on a bridge; elsewhere it has no effect. none: only the watch is believed.",
  }),
  maxStaleness: flag({
    name: 'max-staleness',
    kind: duration(1_000),
    default: '5m0s',
    doc: 'How long the watch may be silent before addresses that were not bound before are refused. Pods already bound are served on.',
  }),
  relistInterval: flag({
    name: 'relist-interval',
    kind: duration(),
    default: '1h0m0s',
    doc: 'How often everything that is watched is listed anew, when the watch at hand ends (after five to six minutes) and spread among nodes. What that corrects is in the log and in kube2iam_watch_corrections_total. 0s: only after an interruption.',
  }),
  podWait: flag({
    name: 'pod-wait',
    kind: optional(duration(0, 30_000)),
    default: '',
    doc: 'How long a request from an address not yet known waits for the watch to name its pod. Unset: --backoff-max-elapsed-time if given, else 900ms, which is under the one second that SDKs wait.',
  }),
  backoffMaxElapsedTime: flag({
    name: 'backoff-max-elapsed-time',
    kind: optional(duration(0, 30_000)),
    default: '',
    doc: 'The name that kube2iam has for --pod-wait.',
    kube2iam: {
      default: '2s',
      difference:
        'The default is 900ms: every SDK has given up after one second. Only an unknown pod is waited for; a refusal is answered at once.',
    },
  }),
  backoffMaxInterval: flag({
    name: 'backoff-max-interval',
    kind: duration(),
    default: '1s',
    doc: 'Accepted and without effect: a waiting request is woken by the event that names its pod.',
    kube2iam: { difference: 'Without effect: nothing polls.' },
  }),
  podEvents: flag({
    name: 'pod-events',
    kind: toggle,
    default: 'true',
    doc: 'Write refusals as Events on the pod, for its owner to see in kubectl describe pod. Needs the permission to create events.',
  }),
  nodeTaint: flag({
    name: 'node-taint',
    kind: optional(
      name(
        'a taint',
        /^[A-Za-z0-9][A-Za-z0-9./_-]{0,252}(=[A-Za-z0-9._-]{0,63})?(:(NoSchedule|NoExecute|PreferNoSchedule))?$/,
        'kube2iam.io/agent-not-ready:NoSchedule',
      ),
    ),
    default: '',
    doc: 'Startup taint that the agent takes off its node when it is ready, so that no pod starts before. Needs --node and the permission to patch nodes.',
    example: 'kube2iam.io/agent-not-ready:NoSchedule',
  }),
}
