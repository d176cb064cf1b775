import { type Agent, createAgent, type Log, type LogFields, type LogLevel } from '@kube2iam-ts/agent-runtime'
import type { Clock, Random } from '@kube2iam-ts/core'
import { parseIpAddress } from '@kube2iam-ts/core'
import { adaptGrants } from '@kube2iam-ts/credential-broker'
import { createCaptureManager, parseHostInterface } from '@kube2iam-ts/iptables-manager'
import { createFakeNetfilter } from '@kube2iam-ts/iptables-manager/testing'
import { createMemoryTokenKeys, type Handler, type Reply } from '@kube2iam-ts/metadata-emulator'
import type { Listener, ListenOptions } from '@kube2iam-ts/metadata-emulator/node'
import {
  createAddressConfirmation,
  createDaemonSetReader,
  createEventRecorder,
  createNamespaceFeed,
  createNodeTaints,
  createPodFeed,
  createServiceAccountFeed,
  createTokenReviewer,
} from '@kube2iam-ts/pod-registry/kubernetes'
import type { FakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import { Registry } from 'prom-client'
import type { AgentConfiguration } from './agent-settings.ts'
import { createKillableClock } from './killable-clock.ts'
import type { SimulatedInstance } from './simulated-instance.ts'
import { createSimulatedInterfaces } from './simulated-interfaces.ts'
import type { SimulatedSts } from './simulated-sts.ts'

export interface SimulatedNodeOptions {
  readonly name: string
  readonly address: string
  readonly configuration: AgentConfiguration
  readonly clock: Clock
  readonly random: Random
  readonly api: FakeApiServer
  readonly sts: SimulatedSts
  readonly instance: SimulatedInstance
  readonly onLog: (level: LogLevel, message: string, fields: LogFields) => void
}

/** What becomes of one HTTP request that a pod of the node sends to the metadata address. */
export type PacketAnswer =
  | { readonly from: 'agent'; readonly reply: Reply }
  | { readonly from: 'node'; readonly status: number; readonly body: string }
  /** Nobody listens where it went, or it was dropped on the way. */
  | { readonly from: 'nobody'; readonly why: 'refused' | 'dropped' }

export interface PodPacket {
  readonly source: string
  /** The link-local address that is asked. */
  readonly destination: string
  readonly hostNetwork: boolean
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
}

/** A node: its netfilter, its instance, and the agents that run on it (two for a moment while one replaces another). */
export interface SimulatedNode {
  readonly name: string
  readonly instance: SimulatedInstance
  /** The youngest agent that runs. */
  readonly agent: Agent | undefined
  /** How many sessions that agent says it holds, by its own metric; none where no agent runs. */
  sessions(): Promise<number>
  /** Starts an agent beside whatever runs. */
  start(): Promise<void>
  /** SIGTERM to the oldest agent. */
  stop(): Promise<void>
  /** Every agent's process is gone at once. */
  kill(): void
  /** The simulation is over: the node itself is gone. */
  close(): void
  send(packet: PodPacket): Promise<PacketAnswer>
  /** Somebody empties the nat table, or every table. */
  flushRules(all: boolean): void
  /** Whether a pod's packet to the metadata address would be led to an agent. */
  readonly redirects: boolean
  /** By how much the node's clock is ahead of the world's. */
  skewMs: number
  /** Its pods' packets come in by the bridge. */
  route(address: string): void
}

interface RunningAgent {
  readonly agent: Agent
  readonly metrics: Registry
  readonly listeners: Map<number, Handler>
  readonly kill: () => void
}

const BRIDGE = 'cni0'
const METADATA_ADDRESS = '169.254.169.254'

export function createSimulatedNode(options: SimulatedNodeOptions): SimulatedNode {
  const { name, address, configuration, random, api, sts, instance, onLog } = options
  const { settings, rules } = configuration
  const netfilter = createFakeNetfilter()
  // Keys lie on the node, as with --run-directory: they outlive an agent.
  const tokenKeys = createMemoryTokenKeys()
  const interfaces = createSimulatedInterfaces(api, name)
  let running: RunningAgent[] = []
  let skewMs = 0
  // Whole milliseconds, as `Date.now()`: jitter leaves fractions in simulated time.
  const nodeClock: Clock = { ...options.clock, now: () => Math.floor(options.clock.now() + skewMs) }

  const log: Log = {
    enabled: () => true,
    write: (level, message, fields = {}) => onLog(level, message, fields),
  }

  const assemble = (): RunningAgent => {
    const { clock, kill } = createKillableClock(nodeClock)
    const listeners = new Map<number, Handler>()
    const connection = api.connection()
    const shared = { connection, clock, random }
    const node = settings.node ?? name
    const podKeys = [settings.iamRoleKey, settings.iamExternalId, settings.sessionNameKey].concat(
      settings.sessionTagsKey ?? [],
    )
    const metrics = new Registry()
    const agent = createAgent({
      settings,
      rules,
      build: { version: 'simulated', commit: '', date: '' },
      clock,
      random,
      log,
      metrics,
      process: { residentBytes: () => 0, cpuSeconds: () => 0, nodePath: 'node' },
      cluster: {
        pods: createPodFeed({ ...shared, node, annotationKeys: podKeys }),
        namespaces: createNamespaceFeed({
          ...shared,
          annotationKeys: [
            settings.namespaceKey,
            settings.namespacePermittedKey,
            settings.namespaceDefaultRoleKey,
          ],
        }),
        serviceAccounts: createServiceAccountFeed({
          ...shared,
          annotationKeys: settings.serviceAccountRoleKeys,
        }),
        confirm: createAddressConfirmation({ connection, node, annotationKeys: podKeys }),
        events: createEventRecorder({ connection, clock, random, component: 'kube2iam', instance: node }),
        taints: createNodeTaints({ connection }),
        tokenReviewer: createTokenReviewer({ connection }),
        daemonSets: createDaemonSetReader({ connection }),
        close: () => connection.close(),
      },
      attachments: interfaces.attachments,
      createTokenService: (report) =>
        adaptGrants(sts.tokenService(clock), { clock, report, region: sts.region }),
      tokenKeys,
      createUpstream: () => instance.upstream(clock),
      listen: async (asked) => listenIn(listeners, asked),
      ...(settings.iptables && {
        createCapture: (report) =>
          createCaptureManager({
            settings: {
              instance: node.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 40),
              hostIps: (settings.hostIps.length > 0 ? settings.hostIps : [address]).map(parseIpAddress),
              appPort: settings.appPort,
              hostInterface: parseHostInterface(settings.hostInterface),
              containerCredentials: settings.containerCredentials,
              backend: settings.iptablesBackend,
              guardRouting: settings.guardRouting,
            },
            runner: netfilter.runner,
            files: netfilter.files,
            reach: async (_address, port) => (handlerAt(port) === undefined ? 'refused' : 'answered'),
            clock,
            random,
            report,
          }),
      }),
    })
    return {
      agent,
      metrics,
      listeners,
      kill() {
        kill()
        listeners.clear()
        // A dead process's connections are closed by its kernel.
        void connection.close()
      },
    }
  }

  const handlerAt = (port: number): Handler | undefined =>
    running
      .toReversed()
      .find(({ listeners }) => listeners.has(port))
      ?.listeners.get(port)

  return {
    name,
    instance,
    get agent() {
      return running.at(-1)?.agent
    },
    async sessions() {
      const youngest = running.at(-1)
      if (youngest === undefined) return 0
      const gauge = await youngest.metrics.getSingleMetric('kube2iam_sessions')?.get()
      const [held] = gauge?.values ?? []
      if (held === undefined) throw new Error(`the agent on ${name} does not say how many sessions it holds`)
      return held.value
    },
    async start() {
      const next = assemble()
      running.push(next)
      await next.agent.start()
    },
    async stop() {
      const [oldest] = running
      if (oldest === undefined) return
      await oldest.agent.stop('SIGTERM')
      running = running.filter((other) => other !== oldest)
    },
    kill() {
      for (const { kill } of running) kill()
      running = []
    },
    close() {
      this.kill()
      interfaces.close()
    },
    async send({ source, destination, hostNetwork, method, target, headers, signal }) {
      // What the node's own processes send never passes PREROUTING, where the redirect is.
      const fate = hostNetwork
        ? ({ fate: 'delivered' } as const)
        : netfilter.send({ source, destination, inInterface: BRIDGE })
      if (fate.fate === 'dropped') return { from: 'nobody', why: 'dropped' }
      if (fate.fate === 'delivered') {
        if (destination !== METADATA_ADDRESS) return { from: 'nobody', why: 'dropped' }
        return { from: 'node', ...instance.answerPod(target) }
      }
      const handler = handlerAt(fate.port)
      if (handler === undefined) return { from: 'nobody', why: 'refused' }
      const peer = parseIpAddress(source)
      return { from: 'agent', reply: await handler({ method, target, peer, headers, signal }) }
    },
    flushRules(all) {
      for (const program of ['iptables-nft', 'iptables-legacy', 'ip6tables-nft', 'ip6tables-legacy']) {
        netfilter.run(program, '-t', 'nat', '-F')
        if (all) netfilter.run(program, '-t', 'mangle', '-F')
      }
      if (all) netfilter.run('nft', 'flush', 'ruleset')
    },
    get redirects() {
      const probe = { source: '10.255.255.254', destination: METADATA_ADDRESS, inInterface: BRIDGE }
      return netfilter.send(probe).fate === 'redirected'
    },
    get skewMs() {
      return skewMs
    },
    set skewMs(value) {
      skewMs = value
    },
    route: (pod) => netfilter.setRoute(pod, BRIDGE),
  }
}

/** A socket without a network: takes the handler, and waits for requests under way when it is closed. */
function listenIn(listeners: Map<number, Handler>, { handler, host, port, clock }: ListenOptions): Listener {
  let open = 0
  const idle = new Set<() => void>()
  const counted: Handler = async (request) => {
    open += 1
    try {
      return await handler(request)
    } finally {
      open -= 1
      if (open === 0) for (const done of idle) done()
    }
  }
  listeners.set(port, counted)
  return {
    url: `http://${host}:${port}`,
    host,
    port,
    get connections() {
      return open
    },
    async close({ drainMs = 0 } = {}) {
      if (listeners.get(port) === counted) listeners.delete(port)
      if (open === 0) return
      const finished = new AbortController()
      idle.add(() => finished.abort())
      await clock.sleep(drainMs, finished.signal).catch(() => {})
    },
  }
}
