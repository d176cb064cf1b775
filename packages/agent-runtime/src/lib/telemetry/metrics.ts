import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { createRequestMetrics } from './request-metrics.ts'

// kube2iam's buckets, so that its dashboards keep working: 1 ms, doubled, up to 8.192 s.
const BUCKETS = Array.from({ length: 14 }, (_, power) => 0.001 * 2 ** power)

/** What is only known when somebody asks. */
export interface MeasuredOnScrape {
  readonly parts: () => readonly { readonly name: string; readonly ok: boolean }[]
  readonly ready: () => boolean
  readonly pods: () => number
  /** Requests that wait for the pod at their address to become known. */
  readonly waiting: () => number
  /** Milliseconds since a watch was last known to be complete, by resource. */
  readonly watchAgeMs: () => Readonly<Record<string, number>>
  readonly sessions: () => readonly { readonly expiration: Date }[]
  readonly now: () => number
  readonly residentBytes: () => number
  readonly cpuSeconds: () => number
  /** Since the start. */
  readonly auditLost: () => number
}

export type Metrics = ReturnType<typeof createMetrics>

/**
 * The collectors, made on the registry passed in. No label takes a value that a pod or its author chooses: kube2iam's
 * `role_arn` let one pod fill the memory of the node.
 */
export function createMetrics(registry: Registry, measured: MeasuredOnScrape) {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name: `kube2iam_${name}`, help, labelNames, registers })
  const gauge = <Label extends string>(
    name: string,
    help: string,
    collect: (gauge: Gauge<Label>) => void,
    ...labelNames: Label[]
  ) =>
    new Gauge({
      name: `kube2iam_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        collect(this)
      },
    })

  gauge('ready', 'Whether the agent is ready: 1 or 0.', (is) => is.set(Number(measured.ready())))
  gauge('healthcheck_status', "The same as kube2iam_ready, by kube2iam's name.", (is) =>
    is.set(Number(measured.ready())),
  )
  gauge(
    'part_ok',
    'Whether a part of the agent is well: 1 or 0.',
    (is) => {
      for (const { name, ok } of measured.parts()) is.set({ part: name }, Number(ok))
    },
    'part',
  )
  gauge('pods', 'Pods of this node that hold an address.', (is) => is.set(measured.pods()))
  gauge('lookups_waiting', 'Requests that wait for the pod at their address to become known.', (is) =>
    is.set(measured.waiting()),
  )
  gauge(
    'watch_age_seconds',
    'Time since a watch was last known to be complete.',
    (is) => {
      for (const [resource, ms] of Object.entries(measured.watchAgeMs())) is.set({ resource }, ms / 1_000)
    },
    'resource',
  )
  gauge('sessions', 'STS sessions held.', (is) => is.set(measured.sessions().length))
  gauge('session_shortest_life_seconds', 'Life left in the session that ends first.', (is) => {
    const ends = measured.sessions().map(({ expiration }) => expiration.getTime())
    is.set(ends.length === 0 ? 0 : (Math.min(...ends) - measured.now()) / 1_000)
  })
  gauge('resident_memory_bytes', 'Resident memory of the agent.', (is) => is.set(measured.residentBytes()))
  gauge('cpu_seconds', 'Processor time that the agent has used.', (is) => is.set(measured.cpuSeconds()))

  return {
    info: new Gauge({
      name: 'kube2iam_info',
      help: 'What is running, in the labels; always 1.',
      labelNames: ['version', 'build_date', 'commit_hash'],
      registers,
    }),
    requests: createRequestMetrics(registry, BUCKETS),
    rejected: counter('rejected_total', 'Connections and requests that got no further.', 'reason'),
    rateLimited: counter('rate_limited_total', 'Requests refused because the pod makes too many.'),
    denials: counter('denials_total', 'Requests for a role that policy denied.', 'code'),
    wouldDeny: counter('would_deny_total', 'Requests that enforce would have denied (audit mode).', 'code'),
    podUnknown: counter(
      'iam_k8s_pod_not_in_pod_cache',
      'Requests from an address that is no known pod’s after waiting.',
    ),
    podAmbiguous: counter('pod_ambiguous_total', 'Requests from an address that two live pods claim.'),
    podInDoubt: counter(
      'pod_in_doubt_total',
      'Requests from an address that the node reaches by an interface younger than its pod.',
    ),
    lookupWaits: new Histogram({
      name: 'kube2iam_lookup_wait_seconds',
      help: 'Time that requests waited for the pod of an unknown address.',
      labelNames: ['outcome'],
      buckets: BUCKETS,
      registers,
    }),
    confirmations: counter(
      'iam_k8s_dup_req_count',
      'Queries to the API server about a single address.',
      'outcome',
    ),
    stsSeconds: new Histogram({
      name: 'kube2iam_iam_request_duration_seconds',
      help: 'Time of calls to STS that issued a session.',
      labelNames: ['code'],
      buckets: BUCKETS,
      registers,
    }),
    stsCalls: counter('sts_calls_total', 'Calls to STS.', 'outcome', 'reason', 'renewal'),
    stsAdaptations: counter(
      'sts_adaptations_total',
      'Times that something other than what was asked for was had from STS.',
      'kind',
    ),
    sessionsDropped: counter('sessions_dropped_total', 'Sessions no longer held.', 'reason'),
    circuitOpen: new Gauge({
      name: 'kube2iam_sts_circuit_open',
      help: 'Whether calls to STS are held back after failures: 1, 0, or 0.5 while one is tried.',
      registers,
    }),
    clockSkew: new Gauge({
      name: 'kube2iam_clock_skew_seconds',
      help: "STS's clock minus this node's, as last measured where it mattered.",
      registers,
    }),
    upstream: counter('upstream_requests_total', "Requests to the node's metadata service.", 'outcome'),
    feedProblems: counter(
      'watch_problems_total',
      'Times that touch with the API server was lost.',
      'resource',
      'code',
    ),
    corrections: counter(
      'watch_corrections_total',
      'Records that a new list had otherwise than the watch had told.',
      'resource',
    ),
    repairs: counter('interception_repairs_total', 'Times that the rules had to be put right.', 'reason'),
    interceptionErrors: counter('interception_errors_total', 'Failures of iptables or nft.', 'code'),
    objectEvents: counter(
      'object_events_lost_total',
      'Kubernetes Events that could not be written.',
      'outcome',
    ),
    auditLost: new Counter({
      name: 'kube2iam_audit_records_lost_total',
      help: 'Audit records that could not be written.',
      registers,
      collect() {
        // Whoever writes them counts for itself: here stands its count.
        this.reset()
        this.inc(measured.auditLost())
      },
    }),
    bugs: counter('bugs_total', 'Errors that have no code. Please report the log line.'),
  }
}
