import type {
  Clock,
  NamespaceRecord,
  PodIdentity,
  Random,
  Report,
  ServiceAccountRecord,
} from '@kube2iam-ts/core'
import type { TokenService, TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import type { CaptureEvent, CaptureManager, WritableNodeFiles } from '@kube2iam-ts/iptables-manager'
import type { EmulatorEvent, TokenKeys, Upstream } from '@kube2iam-ts/metadata-emulator'
import type { Listener, ListenOptions } from '@kube2iam-ts/metadata-emulator/node'
import type { Attachments, ConfirmAddress, Feed } from '@kube2iam-ts/pod-registry'
import type {
  DaemonSetReader,
  EventRecorder,
  NodeLabelsReader,
  NodeTaints,
  TokenReviewer,
} from '@kube2iam-ts/pod-registry/kubernetes'
import type { PolicyRule } from '@kube2iam-ts/role-policy'
import type { Registry } from 'prom-client'
import type { AgentSettings } from './settings/settings.ts'
import type { AuditSink } from './telemetry/audit.ts'
import type { Log } from './telemetry/log.ts'

/** What the agent asks of the API server. */
export interface ClusterPort {
  readonly pods: Feed<PodIdentity>
  readonly namespaces: Feed<NamespaceRecord>
  /** Followed only with `--service-account-roles`. */
  readonly serviceAccounts: Feed<ServiceAccountRecord>
  /** Used where the node contradicts the watch, and more often with `--resolve-duplicate-cache-ips`. */
  readonly confirm?: ConfirmAddress
  /** The others are used where settings ask for what they do. */
  readonly events?: EventRecorder
  readonly taints?: Pick<NodeTaints, 'remove'>
  readonly tokenReviewer?: TokenReviewer
  readonly daemonSets?: DaemonSetReader
  readonly nodeLabels?: NodeLabelsReader
  close(): Promise<void>
}

/** STS, and what it holds open. */
export interface TokenServicePort extends TokenService {
  close?(): Promise<void>
}

/** The rules that bring pods' packets here. */
export type CapturePort = Pick<CaptureManager, 'start' | 'status' | 'setPods' | 'probe' | 'remove' | 'stop'>

/** What the process says of itself. */
export interface ProcessStats {
  /** The program that it runs on: what a probe of the redirection is made with. */
  readonly nodePath: string
  residentBytes(): number
  cpuSeconds(): number
}

/** Everything outside the agent. The binary passes the real things, the simulator its own, tests fakes. */
export interface AgentDeps {
  readonly settings: AgentSettings
  readonly rules?: readonly PolicyRule[]
  readonly build: { readonly version: string; readonly commit: string; readonly date: string }
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Where metrics are made. */
  readonly metrics: Registry
  readonly audit?: AuditSink
  /** How many records that sink could not keep; none unless told. */
  readonly auditLost?: () => number
  readonly process: ProcessStats
  readonly cluster: ClusterPort
  /** By which interface the node reaches an address. Used with `--identity-evidence=node`. */
  readonly attachments?: Attachments
  readonly createTokenService: (report: Report<TokenServiceEvent>, upstream: Upstream) => TokenServicePort
  readonly tokenKeys: TokenKeys
  readonly createUpstream: (report: Report<EmulatorEvent>) => Upstream
  /** Absent unless `--iptables`. */
  readonly createCapture?: (report: Report<CaptureEvent>) => CapturePort
  /** The node's settings, of which one is set (`--migrate-requests`). Absent: none is. */
  readonly nodeFiles?: Pick<WritableNodeFiles, 'readText' | 'writeText'>
  readonly listen: (options: ListenOptions) => Promise<Listener>
}
