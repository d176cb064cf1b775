import { isCoded } from '@kube2iam-ts/core'
import { type BrokerEvent, createBroker } from '@kube2iam-ts/credential-broker'
import { createEmulator, type Handler, parseMetadataAllow } from '@kube2iam-ts/metadata-emulator'
import { createRegistry, type PodRegistry } from '@kube2iam-ts/pod-registry'
import type { AgentDeps } from './agent-deps.ts'
import type { BoundAddresses } from './agent-events.ts'
import { createChanges } from './changes.ts'
import { createCredentialService } from './credential-service.ts'
import { createDiscoveredPolicy } from './discovered-policy.ts'
import { foldedRoleKeys, watched } from './feeds.ts'
import { createHealth, type HealthReport } from './health.ts'
import { createInterception } from './interception.ts'
import { createObjectEvents } from './kubernetes/object-events.ts'
import { removeStartupTaint } from './kubernetes/startup-taint.ts'
import { createTokenIdentities } from './kubernetes/token-identities.ts'
import { type Listeners, openListeners, printBound } from './listeners.ts'
import { createReadiness } from './readiness.ts'
import { migrateRequests } from './request-migration.ts'
import { createSessionKeeper } from './session-keeper.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'
import { unwiseSettings } from './unwise.ts'
import { watchState } from './watch-state.ts'

/** The agent of one node. */
export interface Agent {
  /**
   * Listens (requests wait, or are told to come again), then syncs, discovers and intercepts in the background.
   * Resolves when it listens; rejects with the system's error where an address cannot be had.
   */
  start(): Promise<BoundAddresses>
  /** Resolves when everything that settings ask for works for the first time; rejects with `ABORTED` on stop. */
  ready(): Promise<void>
  health(): HealthReport
  /**
   * In reverse: no new connections, requests under way are answered, sessions are forgotten. The rules stay unless the
   * agent is uninstalled. Resolves whatever fails on the way; that is reported.
   */
  stop(why: string): Promise<void>
  /** What the listeners serve, for whoever has no sockets. */
  readonly metadata: Handler
  readonly container: Handler
  /** Which pod is which address. */
  readonly registry: PodRegistry
}

/** Puts the parts together. Nothing happens before `start`. */
export function createAgent(deps: AgentDeps): Agent {
  const { settings, clock, random, cluster, build } = deps
  const startedAt = clock.monotonic()
  const stopping = new AbortController()
  const health = createHealth()
  const changes = createChanges(clock)

  // What happens ends in one place; whoever makes something happen is told only how to report it.
  const metrics = createMetrics(deps.metrics, {
    parts: () => health.report().parts,
    ready: () => health.report().ready,
    pods: () => registry.sizes().pods,
    waiting: () => registry.sizes().waiting,
    watchAgeMs: () =>
      Object.fromEntries(
        Object.entries(registry.freshness().feeds).map(([feed, { ageMs }]) => [feed, ageMs]),
      ),
    sessions: () => broker.sessions(),
    now: () => clock.now(),
    auditLost: deps.auditLost ?? (() => 0),
    ...deps.process,
  })
  metrics.info.set({ version: build.version, build_date: build.date, commit_hash: build.commit }, 1)
  let telemetry: Telemetry | undefined
  const objectEvents = createObjectEvents({
    recorder: settings.podEvents ? cluster.events : undefined,
    clock,
    report: (event) => telemetry?.agent(event),
  })
  const report = createTelemetry({
    log: deps.log,
    metrics,
    audit: deps.audit ?? (() => {}),
    objectEvents,
    clock,
    node: settings.node,
    clusterName: settings.clusterName,
  })
  telemetry = report

  /** The role of each host-network pod of which it was said that its address cannot prove it. */
  const unprovable = new Map<string, string>()

  // Who an address is.
  const registry = createRegistry({
    pods: watched(cluster.pods, (pod) => {
      const role = pod.annotations[settings.iamRoleKey]
      if (!pod.hostNetwork || role === undefined || settings.containerCredentials) return
      if (unprovable.get(pod.uid) === role) return
      unprovable.set(pod.uid, role)
      report.agent({ kind: 'host-network-role', pod })
    }),
    namespaces: cluster.namespaces,
    ...(settings.serviceAccountRoles && {
      serviceAccounts: foldedRoleKeys(cluster.serviceAccounts, settings.serviceAccountRoleKeys),
    }),
    ...(cluster.confirm && { confirm: cluster.confirm }),
    ...(settings.identityEvidence === 'node' && deps.attachments && { attachments: deps.attachments }),
    clock,
    report: report.registry,
    settings: {
      maxStalenessMs: settings.maxStaleness,
      confirmWhenBehind: settings.resolveDuplicateCacheIps,
    },
  })

  // What it may have.
  const upstream = deps.createUpstream(report.emulator)
  const policy = createDiscoveredPolicy({
    settings,
    rules: deps.rules,
    upstream,
    clock,
    random,
    report: report.agent,
    onChange: () => keeper.policyChanged(),
  })

  // Where that comes from.
  let circuit: (BrokerEvent & { kind: 'circuit-changed' }) | undefined
  const tokenService = deps.createTokenService(report.tokenService, upstream)
  const broker = createBroker({
    tokenService,
    clock,
    random,
    report(event) {
      if (event.kind === 'circuit-changed') circuit = event
      report.broker(event)
    },
    settings: {
      concurrency: settings.stsMaxConcurrency,
      callsPerSecond: settings.stsCallsPerSecond,
      callBurst: settings.stsCallsPerSecond * 2,
      ...(settings.iamRoleErrorTtl > 0 && { denialTtlMs: settings.iamRoleErrorTtl }),
    },
  })
  const keeper = createSessionKeeper({
    registry,
    policy: () => policy.current(),
    broker,
    changes,
    report: report.service,
    prefetch: settings.prefetch,
    tokens: settings.containerCredentials && cluster.tokenReviewer !== undefined,
    onGone(pod) {
      unprovable.delete(pod.uid)
      objectEvents.forget(pod.uid)
    },
  })

  // How pods are answered.
  const service = createCredentialService({
    registry,
    policy: () => policy.current(),
    broker,
    changes,
    report: report.service,
    listed: (address) => settings.allowCidr.some((range) => range.contains(address)),
    tokens:
      settings.containerCredentials && cluster.tokenReviewer
        ? createTokenIdentities({
            reviewer: cluster.tokenReviewer,
            audience: settings.containerCredentialsAudience,
            registry,
            changes,
            clock,
          })
        : undefined,
  })
  const emulator = createEmulator({
    service,
    upstream,
    clock,
    random,
    report: report.emulator,
    tokenKeys: deps.tokenKeys,
    settings: {
      tokens: settings.imdsTokens,
      podWaitMs: settings.podWait ?? settings.backoffMaxElapsedTime ?? DEFAULT_POD_WAIT_MS,
      allow: parseMetadataAllow(settings.metadataAllow),
      deniedAnswer: settings.stsDeniedAnswer,
      rate: { perSecond: settings.podRequestRate, burst: settings.podRequestRate * 2 },
    },
  })

  // How their packets come here.
  const interception =
    deps.createCapture &&
    createInterception({
      capture: deps.createCapture(report.capture),
      registry,
      clock,
      random,
      report: report.agent,
      probeWith: settings.interceptionProbe ? deps.process.nodePath : undefined,
      cleanup: settings.iptablesCleanup,
      daemonset: settings.daemonset,
      daemonSets: cluster.daemonSets,
      node: settings.node,
      nodeLabels: cluster.nodeLabels,
    })

  // Whether all of that works.
  let listeners: Listeners | undefined
  health.add({
    name: 'listening',
    required: true,
    state: () =>
      listeners === undefined
        ? { ok: false, reason: 'not yet' }
        : { ok: true, reason: `listening on ${printBound(listeners.addresses.metadata)}` },
  })
  health.add({ name: 'watch', required: true, state: () => watchState(registry) })
  if (interception !== undefined) for (const part of interception.parts) health.add(part)
  health.add({
    name: 'discovery',
    required: true,
    state: () =>
      policy.missing()
        ? {
            ok: false,
            reason: 'the metadata service has not named the role of this node; see --metadata-addr',
          }
        : { ok: true, reason: 'nothing is missing' },
  })
  health.add({
    name: 'sts',
    required: false,
    state: () =>
      circuit?.state === 'open'
        ? { ok: false, reason: `calls to STS (${circuit.endpoint}) fail; see the log` }
        : { ok: true, reason: 'no trouble is known' },
  })
  const readiness = createReadiness({
    health,
    clock,
    report: report.agent,
    startedAt,
    signal: stopping.signal,
  })
  const tasks: Promise<void>[] = []

  /** Something that goes on until the agent stops. Only a bug makes it fail. */
  function background(where: string, work: Promise<void>): void {
    tasks.push(
      work.catch((error: unknown) => {
        if (!stopping.signal.aborted && !isCoded(error, 'ABORTED'))
          report.agent({ kind: 'bug', where, error })
      }),
    )
  }

  /** One step of stopping: whatever becomes of it, the next ones are taken. */
  async function step(where: string, work: () => Promise<unknown> | undefined): Promise<void> {
    try {
      await work()
    } catch (error) {
      report.agent({ kind: 'bug', where, error })
    }
  }

  return {
    metadata: emulator.metadata,
    container: emulator.container,
    registry,
    health: () => health.report(),
    ready: () => readiness.first,

    async start() {
      const { signal } = stopping
      report.agent({ kind: 'starting', version: build.version, node: settings.node })
      for (const unwise of unwiseSettings(settings)) report.agent({ kind: 'unwise', ...unwise })
      listeners = await openListeners({
        settings,
        emulator,
        status: {
          health: () => health.report(),
          metrics: async () => ({
            contentType: deps.metrics.contentType,
            text: await deps.metrics.metrics(),
          }),
          ...(settings.debug && { debug: () => ({ ...registry.debugStore(), sessions: broker.sessions() }) }),
        },
        listen: deps.listen,
        clock,
        report: report.emulator,
      })
      report.agent({ kind: 'listening', ...listeners.addresses })
      registry.start(signal)
      background('sync', registry.synced(signal).then(readiness.check))
      background('discovery', policy.discover(signal).then(readiness.check))
      background('warm-up', broker.warmUp(signal))
      if (interception !== undefined)
        background('interception', interception.start(signal).then(readiness.check))
      background('readiness', readiness.watch())
      const { nodeFiles } = deps
      // Whoever keeps the rules of the node answers for its network; others may not want it touched.
      if (settings.iptables && settings.migrateRequests === 'auto' && nodeFiles !== undefined)
        background('migration', migrateRequests(nodeFiles).then(report.agent))
      const { nodeTaint, node } = settings
      const { taints } = cluster
      if (nodeTaint !== undefined && node !== undefined && taints !== undefined) {
        const options = { taints, node, taint: nodeTaint, clock, random, report: report.agent }
        background(
          'taint',
          readiness.first.then(() => removeStartupTaint(options, signal)),
        )
      }
      return listeners.addresses
    },

    async stop(why) {
      const begun = clock.monotonic()
      report.agent({ kind: 'stopping', why })
      // The rules are seen to while requests under way are answered: both may take what time there is.
      await Promise.all([
        step('stopping interception', () => interception?.stop()),
        step('closing listeners', () => listeners?.close(settings.shutdownTimeout)),
      ])
      stopping.abort()
      keeper.close()
      await Promise.all([
        step('closing the broker', () => broker.close()),
        step('closing the registry', () => registry.close()),
        step('closing object events', async () => objectEvents.close()),
        ...tasks,
      ])
      await Promise.all([
        step('closing the metadata client', () => upstream.close()),
        step('closing the STS client', () => tokenService.close?.()),
        step('closing the API client', () => cluster.close()),
      ])
      report.agent({ kind: 'stopped', afterMs: Math.round(clock.monotonic() - begun) })
    },
  }
}

/** Under the second that SDKs wait for an answer. */
const DEFAULT_POD_WAIT_MS = 900
