import {
  type IpAddress,
  type NamespaceRecord,
  type PodIdentity,
  parseIpAddress,
  type ServiceAccountRecord,
} from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom, type FakeClock } from '@kube2iam-ts/core/testing'
import { createFakeTokenService, type FakeTokenService } from '@kube2iam-ts/credential-broker/testing'
import { createCaptureManager } from '@kube2iam-ts/iptables-manager'
import { createFakeNetfilter, type FakeNetfilter } from '@kube2iam-ts/iptables-manager/testing'
import { createMemoryTokenKeys, type Handler } from '@kube2iam-ts/metadata-emulator'
import { createFakeInstance, type FakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import type { DaemonSetState, EventNote, TokenIdentity } from '@kube2iam-ts/pod-registry/kubernetes'
import {
  createFakeAttachments,
  createScriptedFeed,
  type FakeAttachments,
  type ScriptedFeed,
} from '@kube2iam-ts/pod-registry/testing'
import type { PolicyRule } from '@kube2iam-ts/role-policy'
import { Registry } from 'prom-client'
import { type Agent, createAgent } from './agent.ts'
import { explainProblems } from './settings/problem.ts'
import { parseSettings } from './settings/settings.ts'
import type { AuditRecord } from './telemetry/audit.ts'
import type { LogFields, LogLevel } from './telemetry/log.ts'

export interface TestLine extends LogFields {
  readonly level: LogLevel
  readonly msg: string
}

export interface TestAnswer {
  readonly status: number
  readonly body: string
  readonly headers: readonly string[]
}

export interface TestAgentOptions {
  /** The command line. `--node=node-1` is there already. */
  readonly args?: readonly string[]
  readonly rules?: readonly PolicyRule[]
  /** Files of the node, by path. */
  readonly files?: Readonly<Record<string, string>>
  /** The account of the instance's role; `undefined` as `role` for an instance without one. */
  readonly instance?: Parameters<typeof createFakeInstance>[0]
  readonly netfilter?: Parameters<typeof createFakeNetfilter>[0]
}

/** An agent in virtual time, with a fake at each port: the assembly that the binary runs, and nothing real outside. */
export interface TestAgent {
  readonly agent: Agent
  readonly clock: FakeClock
  readonly pods: ScriptedFeed<PodIdentity>
  readonly namespaces: ScriptedFeed<NamespaceRecord>
  readonly serviceAccounts: ScriptedFeed<ServiceAccountRecord>
  readonly sts: FakeTokenService
  readonly instance: FakeInstance
  readonly netfilter: FakeNetfilter
  /** The node's interfaces; it tells of no address until a test says so. */
  readonly attachments: FakeAttachments
  readonly log: readonly TestLine[]
  readonly audit: readonly AuditRecord[]
  /** Kubernetes Events that were written, and how writing them goes. */
  readonly events: EventNote[]
  readonly faults: {
    eventsHang: boolean
    taintsFail: number
    listen: string | undefined
    daemonSetHangs: boolean
    auditLost: number
  }
  /** Taints that were taken off the node. */
  readonly untainted: string[]
  /** What the API server says of a token, and of the agent's DaemonSet. */
  readonly tokens: Map<string, TokenIdentity>
  daemonSet: DaemonSetState
  /** What it says of any address that it is asked about, and how often it was asked. */
  readonly direct: { pods: readonly PodIdentity[]; asked: number }
  /** Asks a listener from an address: by default the one of pods. */
  ask(address: string, target: string, options?: TestAskOptions): Promise<TestAnswer>
  metrics(): Promise<string>
  lines(message: string): readonly TestLine[]
}

export interface TestAskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly port?: number
  readonly signal?: AbortSignal
}

/** Makes it; nothing is started. Throws where the arguments are refused. */
export function createTestAgent({
  args = [],
  rules = [],
  files = {},
  instance: facts,
  netfilter: node,
}: TestAgentOptions = {}): TestAgent {
  const parsed = parseSettings({ args: ['--node=node-1', ...args] })
  if (parsed.kind !== 'settings') {
    throw new Error(parsed.kind === 'invalid' ? explainProblems(parsed.problems) : parsed.kind)
  }
  const { settings } = parsed
  const clock = createFakeClock()
  const random = createSeededRandom(1)
  const pods = createScriptedFeed<PodIdentity>()
  const namespaces = createScriptedFeed<NamespaceRecord>()
  const serviceAccounts = createScriptedFeed<ServiceAccountRecord>()
  const sts = createFakeTokenService({ clock, random })
  const instance = createFakeInstance({ clock, random, account: '123456789012', role: 'node', ...facts })
  const netfilter = createFakeNetfilter({
    links: ['cni0'],
    files,
    routes: { '10.4.0.7': 'cni0', '10.4.0.8': 'cni0' },
    ...node,
  })
  const metrics = new Registry()
  const log: TestLine[] = []
  const audit: AuditRecord[] = []
  const handlers = new Map<number, Handler>()

  const world: Omit<TestAgent, 'agent'> = {
    clock,
    pods,
    namespaces,
    serviceAccounts,
    sts,
    instance,
    netfilter,
    attachments: createFakeAttachments(),
    log,
    audit,
    events: [],
    faults: { eventsHang: false, taintsFail: 0, listen: undefined, daemonSetHangs: false, auditLost: 0 },
    untainted: [],
    tokens: new Map(),
    daemonSet: { kind: 'present', uid: 'ds' },
    direct: { pods: [], asked: 0 },
    async ask(address, target, { method = 'GET', headers = {}, port = settings.appPort, signal } = {}) {
      const handler = handlers.get(port)
      if (handler === undefined) throw new Error(`nobody listens on ${port}`)
      const peer: IpAddress = parseIpAddress(address)
      const reply = await handler({
        method,
        target,
        peer,
        headers,
        signal: signal ?? new AbortController().signal,
      })
      return { status: reply.status, body: reply.body.toString('utf8'), headers: reply.headers }
    },
    metrics: () => metrics.metrics(),
    lines: (message) => log.filter(({ msg }) => msg === message),
  }

  const agent = createAgent({
    settings,
    rules,
    build: { version: '0.0.0', commit: 'test', date: '' },
    clock,
    random,
    log: {
      enabled: () => true,
      write: (level, msg, fields) => void log.push({ ...fields, level, msg }),
    },
    metrics,
    audit: (record) => void audit.push(record),
    auditLost: () => world.faults.auditLost,
    process: { nodePath: 'node', residentBytes: () => 0, cpuSeconds: () => 0 },
    cluster: {
      pods,
      namespaces,
      serviceAccounts,
      events: {
        async record(note, signal) {
          if (world.faults.eventsHang) await clock.sleep(3_600_000, signal)
          world.events.push(note)
          return 'written'
        },
      },
      taints: {
        async remove(_node, key) {
          if (world.faults.taintsFail > 0) {
            world.faults.taintsFail -= 1
            throw Object.assign(new Error('forbidden'), { code: 'CLUSTER_FORBIDDEN', retryable: false })
          }
          world.untainted.push(key)
          return 'removed'
        },
      },
      tokenReviewer: {
        review: async (token) => world.tokens.get(token) ?? { kind: 'rejected', reason: 'unknown' },
      },
      daemonSets: {
        async read(_namespace, _name, signal) {
          if (world.faults.daemonSetHangs) await clock.sleep(3_600_000, signal)
          return world.daemonSet
        },
      },
      async confirm() {
        world.direct.asked += 1
        return { pods: world.direct.pods }
      },
      close: async () => {},
    },
    attachments: world.attachments,
    createTokenService: () => sts,
    tokenKeys: createMemoryTokenKeys(),
    createUpstream: () => instance.upstream,
    ...(settings.iptables && {
      createCapture: (report) =>
        createCaptureManager({
          settings: {
            instance: 'node-1',
            hostIps: settings.hostIps.map(parseIpAddress),
            appPort: settings.appPort,
            guardRouting: settings.guardRouting,
          },
          runner: netfilter.runner,
          files: netfilter.files,
          reach: async (_address, port) => (handlers.has(port) ? 'answered' : 'refused'),
          clock,
          random,
          report,
        }),
    }),
    nodeFiles: netfilter.files,
    async listen({ handler, host, port }) {
      if (world.faults.listen !== undefined) throw new Error(world.faults.listen)
      handlers.set(port, handler)
      return {
        url: `http://${host}:${port}`,
        host,
        port,
        connections: 0,
        close: async () => void handlers.delete(port),
      }
    },
  })
  return Object.assign(world, { agent })
}
