import { type Clock, CodedError, isCoded, type Report } from '@kube2iam-ts/core'
import type { NetfilterBackend, Support } from './backend.ts'
import { type CaptureSource, captureRules } from './capture-rules.ts'
import type { ResolvedSources } from './choose-sources.ts'
import type { CommandRunner } from './command-runner.ts'
import { cutConnections } from './conntrack.ts'
import type { NetfilterErrorCode } from './errors.ts'
import type { CaptureEvent, LookReason } from './events.ts'
import type { CaptureMode } from './layout.ts'
import type { NodeFiles } from './node-files.ts'
import { createNodeSetupFinder, type NodeSetup } from './node-setup.ts'
import { createOtherInstances, type Yielding } from './other-instances.ts'
import type { OwnInstance } from './own-instance.ts'
import {
  type DesiredTable,
  latestOwner,
  type Observed,
  type Plan,
  plan,
  type Step,
  summaryOf,
} from './plan.ts'
import type { Reach } from './reach.ts'
import { createRoutingGuard, type RoutingStatus } from './routing-guard.ts'
import { wantsRoutingGuard } from './routing-rules.ts'
import { compareOwners, type Owner } from './rule.ts'
import { createRuleRemoval } from './rule-removal.ts'
import { type CaptureSettings, endpointsOf } from './settings.ts'
import { createSourceFinder, type NodePods } from './sources.ts'
import { createUnwatched } from './unwatched.ts'

export interface RuleKeeperOptions {
  readonly settings: CaptureSettings
  readonly own: OwnInstance
  /** Without it, whoever has the say is taken to be there. */
  readonly reach?: Reach
  readonly runner: CommandRunner
  readonly files: NodeFiles
  readonly clock: Clock
  readonly report: Report<CaptureEvent>
}

/** What a look found and did. */
export interface Look {
  readonly setup: NodeSetup
  readonly observed: Observed
  readonly routing: RoutingStatus
  readonly applied: readonly Step[]
  readonly yieldedTo?: Yielding
}

/** Observe, plan, apply, once; the loop around it is the manager's. */
export interface RuleKeeper {
  setup(signal?: AbortSignal): Promise<NodeSetup>
  /** Finds out anew by what pods are known. */
  findSources(pods: NodePods, signal?: AbortSignal): Promise<ResolvedSources>
  readonly sources: ResolvedSources | undefined
  /** Looks and, if something is missing, applies and looks again. Rejects if it is not in place after that. */
  look(mode: CaptureMode, reason: LookReason, changedBy?: string, signal?: AbortSignal): Promise<Look>
  /** Whether the hooks still read as they did at the last look. Cheap, and blind for what changes inside our chains. */
  seemsUntouched(signal?: AbortSignal): Promise<boolean>
  /** Whether an instance that has the say may have died: look again soon. */
  readonly inDoubt: boolean
  /** Whether the kernel's counts tell of a flush, so that everything else may be looked at less often. */
  readonly counted: boolean
  plan(mode: CaptureMode, signal?: AbortSignal): Promise<Plan>
  /** What is there, changing nothing, and whether that is all that must be. */
  inspect(signal?: AbortSignal): Promise<Look & { readonly complete: boolean }>
  /** The guard in the routing policy, and what others have there before it. */
  inspectRouting(signal?: AbortSignal): Promise<{ status: RoutingStatus; ahead: readonly string[] }>
  /** Takes away what earlier instances of ours left in backends that are not the chosen one. */
  sweep(signal?: AbortSignal): Promise<readonly Step[]>
  /** Takes away everything of ours in every backend. */
  remove(signal?: AbortSignal): Promise<readonly Step[]>
  /** What `remove` would do, doing nothing. */
  planRemoval(signal?: AbortSignal): Promise<readonly Step[]>
}

const PODS_APART =
  'they have no interface of their own on the node, as with macvlan: where their packets do not pass its network stack, they reach the metadata service past every rule'

/** A competing change between look and apply makes a commit fail as a whole, so it is tried again, not for ever. */
const MAX_ATTEMPTS = 4
/** Two instances that add the same rule at once, or a kernel that refuses: the second time tells. */
const MAX_ROUTING_ATTEMPTS = 2
/** How often an instance that wants no rules in the routing policy takes away those of another. */
const ROUTING_TAKEN_EVERY_MS = 60_000

export function createRuleKeeper({
  settings,
  own,
  reach,
  runner,
  files,
  clock,
  report,
}: RuleKeeperOptions): RuleKeeper {
  const sourceFinder = createSourceFinder({ settings, runner, files })
  const routing = createRoutingGuard({ settings, runner, report })
  const others = createOtherInstances({ own, reach, report })
  const finder = createNodeSetupFinder({ settings, runner, files, report })
  const removal = createRuleRemoval({ own, others, routing, tablesIn, report })
  let sources: ResolvedSources | undefined
  const unwatched = createUnwatched({ files, clock })
  let routingTakenAt = Number.NEGATIVE_INFINITY

  const tablesOf = (
    backend: NetfilterBackend,
    support: Support,
    from: readonly CaptureSource[],
    mode: CaptureMode = 'redirect',
  ): DesiredTable[] => {
    const owner = own.owner()
    const capture = captureRules({
      settings,
      owner,
      sources: from,
      nat: { 4: support[4].nat, 6: support[6].nat },
    })
    return backend.tables({ capture, owner, mode, families: support })
  }

  const desired = async (
    node: NodeSetup,
    mode: CaptureMode,
    signal?: AbortSignal,
  ): Promise<DesiredTable[]> => {
    const found = sources ?? (await keeper.findSources({ addresses: [] }, signal))
    return tablesOf(node.backend, node.support, found.sources, mode)
  }

  const cut = async (signal?: AbortSignal): Promise<void> => {
    const result = await cutConnections(runner, endpointsOf(settings), signal)
    if (result.kind === 'unavailable')
      report({ type: 'capture-conntrack-unavailable', reason: result.reason })
    else if (result.connections > 0)
      report({ type: 'capture-connections-cut', connections: result.connections })
  }

  /**
   * Rules of the routing policy bear no instance's name. Whoever does not want them therefore takes them away now and
   * then, and not whenever another puts them back, which would be a fight for as long as a roll-out lasts.
   */
  const planRouting = async (node: NodeSetup, mode: CaptureMode, signal?: AbortSignal) => {
    const mayDelete =
      mode === 'redirect' &&
      (wantsRoutingGuard(settings) || clock.monotonic() - routingTakenAt >= ROUTING_TAKEN_EVERY_MS)
    const { steps, status } = await routing.plan(mayDelete ? 'keep' : 'add', node.support, signal)
    const isAddition = ({ op }: { op: string }): boolean => op === 'add-routing-rule'
    return { adds: steps.filter(isAddition), deletes: steps.filter((step) => !isAddition(step)), status }
  }

  /** All tables in which rules of ours may be, whoever's packets they are for. */
  async function tablesIn(backend: NetfilterBackend, signal?: AbortSignal): Promise<readonly DesiredTable[]> {
    return tablesOf(backend, await finder.probe(backend, signal), [])
  }

  /** What is there in each of the other backends. */
  async function* elsewhere({ others: backends }: NodeSetup, signal?: AbortSignal): AsyncGenerator<Observed> {
    for (const backend of backends) yield await backend.observe(await tablesIn(backend, signal), signal)
  }

  const keeper: RuleKeeper = {
    setup: (signal) => finder.find(signal),

    get sources() {
      return sources
    },

    async findSources(pods, signal) {
      const found = await sourceFinder.find(pods, signal)
      const before = sources
      sources = found
      if (found.warning !== undefined && found.warning.suggestion !== before?.warning?.suggestion) {
        report({ type: 'capture-interface-without-pods', ...found.warning })
      }
      if (found.podsApart !== undefined && before?.podsApart === undefined) {
        report({ type: 'capture-pods-apart', pods: found.podsApart, why: PODS_APART })
      }
      if (JSON.stringify(found.sources) !== JSON.stringify(before?.sources)) {
        report({ type: 'capture-sources-found', sources: found.sources, evidence: found.evidence })
      }
      return found
    },

    async look(mode, reason, changedBy, signal) {
      const started = clock.monotonic()
      const node = await keeper.setup(signal)
      const tables = await desired(node, mode, signal)
      const applied: Step[] = []
      const passedOver: Owner[] = []
      let routingAttempts = 0
      for (let attempt = 1; ; attempt += 1) {
        await unwatched.beforeLook(node.backend)
        const [observed, route] = await Promise.all([
          node.backend.observe(tables, signal),
          planRouting(node, mode, signal),
        ])
        unwatched.afterLook(node.backend, tables, observed)
        const { steps, yieldedTo } = await others.plan(
          tables,
          observed,
          passedOver,
          () => elsewhere(node, signal),
          signal,
        )
        // Where the routing policy does not become what it must, the status says so; the rest holds.
        const mayRoute =
          yieldedTo === undefined && routingAttempts < MAX_ROUTING_ATTEMPTS && attempt <= MAX_ATTEMPTS
        const adds = mayRoute ? route.adds : []
        const deletes = mayRoute ? route.deletes : []
        if (steps.length + adds.length + deletes.length === 0) {
          const durationMs = clock.monotonic() - started
          if (applied.length > 0) {
            report({
              type: 'capture-repaired',
              reason,
              ...summaryOf(applied),
              durationMs,
              ...(changedBy !== undefined && { changedBy }),
            })
            await cut(signal)
          }
          report({ type: 'capture-looked', reason, durationMs })
          return { setup: node, observed, routing: route.status, applied, ...(yieldedTo && { yieldedTo }) }
        }
        if (attempt > MAX_ATTEMPTS) throw notHolding(steps)
        try {
          // What closes the way comes first, what opens it last.
          if (await routing.apply(adds, signal)) applied.push(...adds)
          else routingAttempts += 1
          await node.backend.apply(steps, signal)
          applied.push(...steps)
          if (!(await routing.apply(deletes, signal))) routingAttempts += 1
          else if (deletes.length > 0) {
            applied.push(...deletes)
            routingTakenAt = clock.monotonic()
          }
        } catch (error) {
          if (attempt >= MAX_ATTEMPTS || !isCoded(error) || !error.retryable) throw error
        }
      }
    },

    async seemsUntouched(signal) {
      const node = await keeper.setup(signal)
      return unwatched.seemsUntouched(node.backend, () => desired(node, 'redirect', signal), signal)
    },

    get inDoubt() {
      return others.inDoubt
    },

    get counted() {
      return unwatched.counted
    },

    async plan(mode, signal) {
      const node = await keeper.setup(signal)
      const tables = await desired(node, mode, signal)
      const observed = await node.backend.observe(tables, signal)
      const { adds, deletes } = await planRouting(node, mode, signal)
      const owner = own.owner()
      const latest = latestOwner(observed)
      // Asked by a command beside the agent, rules that only bear the agent's name are no difference.
      const reader = latest === undefined || compareOwners(latest, owner) > 0 ? owner : latest
      const { steps, yieldedTo } = plan(tables, observed, reader, own.isFromTheFuture)
      return yieldedTo === undefined ? { steps: [...adds, ...steps, ...deletes] } : { steps, yieldedTo }
    },

    async inspect(signal) {
      const node = await keeper.setup(signal)
      const tables = await desired(node, 'redirect', signal)
      const observed = await node.backend.observe(tables, signal)
      // Who wrote the rules does not matter here: they are read as their writer reads them.
      const { steps } = plan(tables, observed, latestOwner(observed) ?? own.owner())
      const route = await planRouting(node, 'redirect', signal)
      const complete = steps.length === 0 && !Object.values(route.status.families).includes('missing')
      return { setup: node, observed, routing: route.status, applied: [], complete }
    },

    async inspectRouting(signal) {
      const { support } = await keeper.setup(signal)
      const { status } = await routing.plan('add', support, signal)
      return { status, ahead: await routing.ahead(signal) }
    },

    sweep: async (signal) => removal.sweep(await keeper.setup(signal), signal),
    remove: async (signal) => removal.remove(await keeper.setup(signal), signal),
    planRemoval: async (signal) => removal.plan(await keeper.setup(signal), signal),
  }
  return keeper
}

const notHolding = (steps: readonly Step[]): CodedError<NetfilterErrorCode> =>
  new CodedError(
    'IPTABLES_FAILED',
    'the rules were written and are not there: another program keeps changing them',
    {
      retryable: true,
      detail: summaryOf(steps),
    },
  )
