import { type Clock, CodedError, isCoded, type IpAddress, type Report } from '@kube2iam-ts/core'
import type { NetfilterBackend, Support } from './backend.ts'
import { captureRules, type CaptureSource } from './capture-rules.ts'
import type { CommandRunner } from './command-runner.ts'
import { cutConnections } from './conntrack.ts'
import { detectBackend } from './detect-backend.ts'
import type { NetfilterErrorCode } from './errors.ts'
import type { CaptureEvent, LookReason } from './events.ts'
import type { CaptureMode } from './layout.ts'
import type { NodeFiles } from './node-files.ts'
import { type DesiredTable, type Observed, type Plan, plan, planRemoval, type Step } from './plan.ts'
import type { Owner } from './rule.ts'
import { type CaptureSettings, endpointsOf } from './settings.ts'
import { type ResolvedSources, resolveSources } from './sources.ts'

export interface RuleKeeperOptions {
  readonly settings: CaptureSettings
  readonly owner: Owner
  readonly runner: CommandRunner
  readonly files: NodeFiles
  readonly clock: Clock
  readonly report: Report<CaptureEvent>
}

/** What the node offers, found out once. */
export interface NodeSetup {
  readonly backend: NetfilterBackend
  readonly others: readonly NetfilterBackend[]
  readonly support: Support
  readonly evidence: string
}

/** What a look found and did. */
export interface Look {
  readonly setup: NodeSetup
  readonly tables: readonly DesiredTable[]
  readonly observed: Observed
  readonly applied: readonly Step[]
  readonly yieldedTo?: Owner
}

/** Observe, plan, apply, once; the loop around it is the manager's. */
export interface RuleKeeper {
  setup(signal?: AbortSignal): Promise<NodeSetup>
  /** Finds out again by what pods are known. Resolves with whether that changed. */
  findSources(pods: readonly IpAddress[], signal?: AbortSignal): Promise<boolean>
  readonly sources: ResolvedSources | undefined
  /** Looks and, if something is missing, applies and looks again. Rejects if it is not in place after that. */
  look(mode: CaptureMode, reason: LookReason, changedBy?: string, signal?: AbortSignal): Promise<Look>
  plan(mode: CaptureMode, signal?: AbortSignal): Promise<Plan>
  /** Takes away everything of ours in every backend. */
  remove(signal?: AbortSignal): Promise<readonly Step[]>
}

/** A competing change between look and apply makes a commit fail as a whole, so it is tried again, not for ever. */
const MAX_ATTEMPTS = 4

export function createRuleKeeper({
  settings,
  owner,
  runner,
  files,
  clock,
  report,
}: RuleKeeperOptions): RuleKeeper {
  let setup: Promise<NodeSetup> | undefined
  let sources: ResolvedSources | undefined

  const prepare = async (signal?: AbortSignal): Promise<NodeSetup> => {
    const { backend, evidence, others } = await detectBackend({
      runner,
      files,
      wanted: settings.backend ?? 'auto',
      ...(signal && { signal }),
    })
    report({ type: 'capture-backend-chosen', backend: backend.name, evidence })
    const support = await backend.probe(signal)
    if (!support[6].nat) report({ type: 'capture-ipv6-dropped', reason: support[6].reason ?? 'no IPv6 NAT' })
    return { backend, others, support, evidence }
  }

  const keeper: RuleKeeper = {
    async setup(signal) {
      setup ??= prepare(signal)
      try {
        return await setup
      } catch (error) {
        // A lock passes; the next call asks again.
        setup = undefined
        throw error
      }
    },

    get sources() {
      return sources
    },

    async findSources(pods, signal) {
      const found = await resolveSources({ settings, pods, runner, files, ...(signal && { signal }) })
      const before = sources
      sources = found
      if (JSON.stringify(found.warning) !== JSON.stringify(before?.warning) && found.warning !== undefined) {
        report({ type: 'capture-interface-without-pods', ...found.warning })
      }
      if (JSON.stringify(found.sources) === JSON.stringify(before?.sources)) return false
      report({ type: 'capture-sources-found', sources: found.sources, evidence: found.evidence })
      return true
    },

    async look(mode, reason, changedBy, signal) {
      const started = clock.monotonic()
      const node = await keeper.setup(signal)
      const tables = await desired(node, mode, signal)
      const applied: Step[] = []
      for (let attempt = 1; ; attempt += 1) {
        const observed = await node.backend.observe(tables, signal)
        const { steps, yieldedTo } = plan(tables, observed, owner)
        if (steps.length === 0) {
          const durationMs = clock.monotonic() - started
          if (applied.length > 0) {
            report({
              type: 'capture-repaired',
              reason,
              ...summary(applied),
              durationMs,
              ...(changedBy !== undefined && { changedBy }),
            })
            await cut(signal)
          }
          report({ type: 'capture-looked', reason, durationMs })
          return { setup: node, tables, observed, applied, ...(yieldedTo && { yieldedTo }) }
        }
        try {
          await node.backend.apply(steps, signal)
          applied.push(...steps)
        } catch (error) {
          if (attempt >= MAX_ATTEMPTS || !isCoded(error) || !error.retryable) throw error
        }
        if (attempt >= MAX_ATTEMPTS) throw notHolding(steps)
      }
    },

    async plan(mode, signal) {
      const node = await keeper.setup(signal)
      const tables = await desired(node, mode, signal)
      return plan(tables, await node.backend.observe(tables, signal), owner)
    },

    async remove(signal) {
      const node = await keeper.setup(signal)
      const removed: Step[] = []
      for (const backend of [node.backend, ...node.others]) {
        const support = backend === node.backend ? node.support : await backend.probe(signal)
        const tables = tablesOf(backend, support, [])
        const steps = planRemoval(tables, await backend.observe(tables, signal), owner)
        await backend.apply(steps, signal)
        removed.push(...steps)
      }
      report({ type: 'capture-removed', steps: removed.length })
      return removed
    },
  }

  const tablesOf = (
    backend: NetfilterBackend,
    support: Support,
    from: readonly CaptureSource[],
    mode: CaptureMode = 'redirect',
  ): DesiredTable[] => {
    const nat = { 4: support[4].nat, 6: support[6].nat }
    return backend.tables({
      capture: captureRules({ settings, owner, sources: from, nat }),
      owner,
      mode,
      families: support,
    })
  }

  const desired = async (
    node: NodeSetup,
    mode: CaptureMode,
    signal?: AbortSignal,
  ): Promise<DesiredTable[]> => {
    if (sources === undefined) await keeper.findSources([], signal)
    return tablesOf(node.backend, node.support, sources?.sources ?? [], mode)
  }

  const cut = async (signal?: AbortSignal): Promise<void> => {
    const result = await cutConnections(runner, endpointsOf(settings), signal)
    if (result.kind === 'unavailable')
      report({ type: 'capture-conntrack-unavailable', reason: result.reason })
    else if (result.connections > 0)
      report({ type: 'capture-connections-cut', connections: result.connections })
  }

  return keeper
}

const notHolding = (steps: readonly Step[]): CodedError<NetfilterErrorCode> =>
  new CodedError(
    'IPTABLES_FAILED',
    'the rules were written and are not there: another program keeps changing them',
    {
      retryable: true,
      detail: summary(steps),
    },
  )

const summary = (steps: readonly Step[]): { steps: number; tables: string[] } => ({
  steps: steps.length,
  tables: [...new Set(steps.map(({ table }) => table))],
})
