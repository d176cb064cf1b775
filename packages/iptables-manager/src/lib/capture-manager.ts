import { type Cidr, type Clock, type IpAddress, isCoded, type Random, type Report } from '@kube2iam-ts/core'
import { createAlarm } from './alarm.ts'
import type { CommandRunner } from './command-runner.ts'
import { createContention } from './contention.ts'
import type { CaptureEvent, LookReason } from './events.ts'
import { findLeftovers, type Leftover, removeLeftovers } from './leftovers.ts'
import { monitorChanges, SUBSCRIBES_WITHIN_MS } from './monitor.ts'
import { checkNode, type Finding } from './node-checks.ts'
import { createNodeFiles, type NodeFiles } from './node-files.ts'
import { createOwnInstance } from './own-instance.ts'
import type { Plan, Step } from './plan.ts'
import { type ProbeResult, probeInterception } from './probe.ts'
import { sweepProbes } from './probe-leftovers.ts'
import type { Reach } from './reach.ts'
import { lookUpRoutes } from './route-lookup.ts'
import { concernsRouting, wantsRoutingGuard } from './routing-rules.ts'
import { createRuleKeeper } from './rule-keeper.ts'
import { type CaptureLimit, type CaptureSettings, checkSettings, endpointsOf } from './settings.ts'
import type { NodePods } from './sources.ts'
import { byProbe, type CaptureStatus, countersOf, describeLook, NEVER_LOOKED } from './status.ts'

export interface CaptureManagerOptions {
  readonly settings: CaptureSettings
  /** It is used to remove rules, or to install the block, and for nothing else: `settings.hostIps` may be empty. */
  readonly only?: CaptureLimit
  readonly runner: CommandRunner
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<CaptureEvent>
  /** The node's `/proc` and `/etc/cni/net.d`; the real ones unless given. */
  readonly files?: NodeFiles
  /**
   * Whether somebody listens on a port of the node. Without it an instance with later rules is yielded to even when it
   * has died.
   */
  readonly reach?: Reach
  /** How often to look while no monitor runs, or none may be relied upon yet; 1,250 ms unless given. */
  readonly pollIntervalMs?: number
  /** How often to look at every rule although the monitors tell of no change; two minutes unless given. */
  readonly fullIntervalMs?: number
}

/** Keeps the rules that lead pods' metadata calls to the agent. Methods reject with the codes of errors.ts. */
export interface CaptureManager {
  /** Puts the rules in place and keeps them there. Resolves when a look found them all. Again, it only looks. */
  start(signal?: AbortSignal): Promise<void>
  /** What the last look found. */
  status(): CaptureStatus
  /** Looks now and repairs; resolves with what is there then. */
  look(): Promise<CaptureStatus>
  /** What a look would change, changing nothing. */
  plan(signal?: AbortSignal): Promise<Plan>
  /** What is there, changing nothing: for a command beside the running agent. */
  inspect(signal?: AbortSignal): Promise<CaptureStatus>
  /** This node's pods, whenever they change: `auto` learns its interfaces from them. */
  setPods(addresses: readonly IpAddress[], cidrs?: readonly Cidr[]): void
  /**
   * Puts the guard in place and nothing else: from now on no pod reaches the metadata service. A redirect that is there
   * stays; `start` later adds one, and at no time in between is the way open. Resolves with what is there then, which
   * may leave a family open that no rule can be made for.
   */
  installBlock(signal?: AbortSignal): Promise<CaptureStatus>
  /** Opens a connection from a scratch namespace attached like a pod. `nodePath` is the program that does: Node's own. */
  probe(nodePath: string, signal?: AbortSignal): Promise<ProbeResult>
  /** Rules that jtblin/kube2iam or kiam left behind. */
  leftovers(signal?: AbortSignal): Promise<readonly Leftover[]>
  /** Removes exactly those rules. */
  removeLeftovers(leftovers: readonly Leftover[], signal?: AbortSignal): Promise<void>
  /** What the node's own settings mean for the redirect. */
  checkNode(signal?: AbortSignal): Promise<readonly Finding[]>
  /** Ends the loop and takes away everything of ours, in every backend of the node. */
  remove(signal?: AbortSignal): Promise<readonly Step[]>
  /** What `remove` would take away, changing nothing. */
  planRemoval(signal?: AbortSignal): Promise<readonly Step[]>
  /** Ends loop, monitor and a probe under way. The rules stay: no pod may meet the real service while the agent restarts. */
  stop(): Promise<void>
}

/** Changes come in bursts: a look waits for the burst to end. */
const SETTLE_MS = 30
/** Pods are born in bursts too, and each costs a look at the routes. */
const SETTLE_PODS_MS = 500
/** How often other backends are looked at for what an earlier instance put back there before it went. */
const SWEEP_MS = 300_000
/** The legacy tables tell nothing of changes: between full looks only their hooks are compared. */
const FULL_POLL_MS = 20_000
/** How often to look at everything where changes are told of in part: by the kernel's counts, or by one monitor of two. */
const FULL_PARTLY_TOLD_MS = 60_000

/** Makes the keeper of the rules. Throws `CAPTURE_INVALID`. */
export function createCaptureManager(options: CaptureManagerOptions): CaptureManager {
  const {
    settings,
    runner,
    clock,
    random,
    report,
    pollIntervalMs = 1_250,
    fullIntervalMs = 120_000,
  } = options
  checkSettings(settings, options.only)
  const own = createOwnInstance(settings.instance, clock)
  const files = options.files ?? createNodeFiles()
  const keeper = createRuleKeeper({
    settings,
    own,
    runner,
    files,
    clock,
    report,
    ...(options.reach && { reach: options.reach }),
  })
  const alarm = createAlarm(clock)
  const contention = createContention({ clock, report })
  const stopping = new AbortController()

  let status = NEVER_LOOKED
  let pods: NodePods = { addresses: [] }
  let queue: Promise<unknown> = Promise.resolve()
  let probing: Promise<unknown> = Promise.resolve()
  let tasks: Promise<unknown>[] = []
  let monitored = false
  let routingMonitored = false
  /** Until then a monitor that has started may hear nothing yet. */
  let deafUntil = Number.NEGATIVE_INFINITY
  let fullLookAt = 0
  let sweptAt = 0

  /** One at a time: two looks would each undo what the other is about to verify. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = queue.then(work, work)
    queue = result.catch(() => undefined)
    return result
  }

  const look = (reason: LookReason, changedBy?: string, signal = stopping.signal): Promise<CaptureStatus> =>
    inTurn(async () => {
      try {
        if (reason === 'start' || reason === 'settings') await keeper.findSources(pods, signal)
        const result = await keeper.look('redirect', reason, changedBy, signal)
        if (result.applied.length > 0 && reason !== 'start') contention.note(changedBy)
        if (result.yieldedTo !== undefined && status.state !== 'yielded') {
          report({ type: 'capture-yielded', instance: result.yieldedTo.owner.instance })
        }
        status = describeLook(status, result, keeper.sources, clock.now())
        fullLookAt = clock.monotonic()
        await sweep(reason, signal)
        return status
      } catch (error) {
        if (isCoded(error, 'ABORTED')) throw error
        if (reason !== 'start') contention.note(changedBy)
        status = { ...status, state: 'incomplete', problem: problemOf(error), lastLookAt: clock.now() }
        report({ type: 'capture-look-failed', reason, error })
        throw error
      }
    })

  /**
   * An earlier instance may have used another backend, and may still put its rules back until it is gone; one that was
   * killed may have left its probe.
   */
  const sweep = async (reason: LookReason, signal: AbortSignal): Promise<void> => {
    if (reason !== 'start' && !keeper.inDoubt && clock.monotonic() - sweptAt < SWEEP_MS) return
    sweptAt = clock.monotonic()
    await keeper.sweep(signal)
    await sweepProbes({ runner, files, now: clock.now(), signal })
  }

  const mayBeDeaf = (): boolean => clock.monotonic() < deafUntil

  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const deaf = mayBeDeaf()
      // Whoever has the say may die, and no monitor tells of that.
      const isQuiet = monitored && !deaf && status.state !== 'yielded' && !keeper.inDoubt
      const quietMs = routingMonitored ? fullIntervalMs : Math.min(fullIntervalMs, FULL_PARTLY_TOLD_MS)
      const { reason, changedBy } = await alarm.wait(isQuiet ? quietMs : pollIntervalMs)
      const settle = reason === 'monitor' ? SETTLE_MS : reason === 'settings' ? SETTLE_PODS_MS : 0
      await clock.sleep(settle + contention.pauseMs(), stopping.signal).catch(() => undefined)
      if (stopping.signal.aborted) return
      // What failed was reported and shows in the status; the next look tries again.
      await lookIfNeeded(reason, changedBy, deaf).catch(() => undefined)
    }
  }

  const lookIfNeeded = async (
    reason: LookReason,
    changedBy: string | undefined,
    deaf: boolean,
  ): Promise<void> => {
    const fullMs = keeper.counted ? FULL_PARTLY_TOLD_MS : FULL_POLL_MS
    const recent = clock.monotonic() - fullLookAt < fullMs && status.state === 'in-place'
    const untouched =
      reason === 'poll' &&
      !monitored &&
      !deaf &&
      recent &&
      (await inTurn(() => keeper.seemsUntouched(stopping.signal)))
    if (!untouched) await look(reason, changedBy)
  }

  const started = (program: string): void => {
    deafUntil = clock.monotonic() + SUBSCRIBES_WITHIN_MS
    report({ type: 'capture-monitor-started', program })
    // What changed before it ran, and the loop has to look at its clock.
    alarm.ring({ reason: 'monitor' })
  }

  const follow = async (): Promise<void> => {
    const { backend } = await keeper.setup(stopping.signal)
    if (backend.monitors.length === 0) return
    await monitorChanges({
      runner,
      clock,
      random,
      signal: stopping.signal,
      monitors: backend.monitors,
      concerns: (line) => backend.concerns(line),
      onChange: (changedBy) =>
        alarm.ring({ reason: 'monitor', ...(changedBy !== undefined && { changedBy }) }),
      onStarted(program) {
        monitored = true
        started(program)
      },
      onLost(reason) {
        monitored = false
        report({ type: 'capture-monitor-lost', reason })
        alarm.ring({ reason: 'poll' })
      },
    })
  }

  /** Without this monitor the full look finds what it would have told of; the guards in netfilter hold meanwhile. */
  const followRouting = async (): Promise<void> => {
    if (!wantsRoutingGuard(settings)) return
    await monitorChanges({
      runner,
      clock,
      random,
      signal: stopping.signal,
      monitors: [['ip', ['monitor', 'rule']]],
      concerns: concernsRouting,
      eachLine: true,
      onChange: () => alarm.ring({ reason: 'monitor' }),
      onStarted(program) {
        routingMonitored = true
        started(program)
      },
      onLost(reason) {
        report({ type: 'capture-monitor-lost', reason })
        // The loop may be waiting as long as only two monitors allow.
        if (routingMonitored) alarm.ring({ reason: 'poll' })
        routingMonitored = false
      },
    })
  }

  const allBackends = async (signal?: AbortSignal) => {
    const { backend, others } = await keeper.setup(signal)
    return [backend, ...others]
  }

  const untilStopped = (signal: AbortSignal | undefined): AbortSignal =>
    signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal])

  const probe = async (nodePath: string, signal: AbortSignal): Promise<ProbeResult> => {
    const { sources } = keeper.sources ?? (await keeper.findSources(pods, signal))
    const address = endpointsOf(settings).find(({ action, family }) => action === 'redirect' && family === 4)
    const result = await probeInterception({
      runner,
      random,
      now: clock.now(),
      sources,
      counters: async () => countersOf((await inTurn(() => keeper.inspect(signal))).observed),
      nodePath,
      ...(address && { address: address.address, port: address.port }),
      signal,
    })
    status = { ...status, interception: byProbe(status.interception, result, clock.now()) }
    report({ type: 'capture-probed', result })
    return result
  }

  const manager: CaptureManager = {
    async start(signal) {
      await look('start', undefined, untilStopped(signal))
      // Whoever starts it again wants a look, and no second loop that would undo what the first one does.
      if (tasks.length === 0) tasks = [loop(), follow(), followRouting()]
    },
    status: () => ({ ...status, monitored }),
    look: () => look('asked'),
    plan: (signal) => inTurn(() => keeper.plan('redirect', signal)),
    inspect: (signal) =>
      inTurn(async () => {
        await keeper.findSources(pods, signal)
        const seen = await keeper.inspect(signal)
        const found = describeLook(NEVER_LOOKED, seen, keeper.sources, clock.now())
        return seen.complete ? found : { ...found, state: 'incomplete' }
      }),
    setPods(addresses, cidrs) {
      pods = { addresses, ...(cidrs && { cidrs }) }
      alarm.ring({ reason: 'settings' })
    },
    installBlock: (signal) =>
      inTurn(async () => {
        const found = await keeper.look('block', 'asked', undefined, signal)
        report({ type: 'capture-block-installed', backend: found.setup.backend.name })
        return describeLook(NEVER_LOOKED, found, keeper.sources, clock.now())
      }),
    probe(nodePath, caller) {
      // Whoever stops waits until what the probe made is gone again.
      const result = probe(nodePath, untilStopped(caller))
      probing = result.catch(() => undefined)
      return result
    },
    leftovers: async (signal) => findLeftovers(await allBackends(signal), signal),
    removeLeftovers: async (leftovers, signal) =>
      removeLeftovers(await allBackends(signal), leftovers, signal),
    async checkNode(signal) {
      const { sources } = keeper.sources ?? (await keeper.findSources(pods, signal))
      const [{ links }, leftovers, { status: routing, ahead }] = await Promise.all([
        lookUpRoutes(runner, [], signal),
        manager.leftovers(signal),
        keeper.inspectRouting(signal),
      ])
      return checkNode({ files, hostIps: settings.hostIps, sources, links, leftovers, routing, ahead })
    },
    async remove(signal) {
      await manager.stop()
      return inTurn(async () => {
        const steps = await keeper.remove(signal)
        status = { ...NEVER_LOOKED, state: 'removed', lastLookAt: clock.now() }
        return steps
      })
    },
    planRemoval: (signal) => inTurn(() => keeper.planRemoval(signal)),
    async stop() {
      stopping.abort()
      alarm.ring({ reason: 'asked' })
      await Promise.all([...tasks, queue, probing])
      tasks = []
    },
  }
  return manager
}

const problemOf = (error: unknown): { code: string; message: string } =>
  isCoded(error)
    ? { code: error.code, message: error.message }
    : { code: 'UNEXPECTED', message: error instanceof Error ? error.message : String(error) }
