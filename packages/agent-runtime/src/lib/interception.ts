import { type Clock, createBackoff, isCoded, type Random, type Report } from '@kube2iam-ts/core'
import { openWays } from '@kube2iam-ts/iptables-manager'
import { holdsAddresses, type PodRegistry } from '@kube2iam-ts/pod-registry'
import type { DaemonSetReader, NodeLabelsReader } from '@kube2iam-ts/pod-registry/kubernetes'
import type { CapturePort } from './agent-deps.ts'
import type { AgentEvent } from './agent-events.ts'
import type { HealthPart } from './health.ts'
import { createOwnDaemonSet, type OwnDaemonSet } from './own-daemon-set.ts'

export interface InterceptionOptions {
  readonly capture: CapturePort
  readonly registry: Pick<PodRegistry, 'pods' | 'onChange'>
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<AgentEvent>
  /** Node's own program, to try a connection with from where pods are; `undefined`: nothing is tried. */
  readonly probeWith: string | undefined
  readonly cleanup: 'auto' | 'always' | 'never'
  /** The agent's own DaemonSet as namespace/name, and who can say whether it still exists. */
  readonly daemonset: string | undefined
  readonly daemonSets: DaemonSetReader | undefined
  /** This node, and who can say its labels: by them the DaemonSet chooses its nodes. */
  readonly node: string | undefined
  readonly nodeLabels: NodeLabelsReader | undefined
}

/** The rules, from the agent's start to its end. */
export interface Interception {
  readonly parts: readonly HealthPart[]
  /** Tries until the rules are in place, and it is known what the agent belongs to. Rejects with `ABORTED` only. */
  start(signal: AbortSignal): Promise<void>
  /** Ends the upkeep, and removes the rules only where this agent put them in place and is being uninstalled. */
  stop(): Promise<void>
}

/** How long stopping waits for the API server to say whether the agent is being uninstalled. */
const ASK_MS = 1_000
/** Pods come in groups: their addresses are handed over once for all of them. */
const SETTLE_MS = 100

export function createInterception(options: InterceptionOptions): Interception {
  const { capture, registry, clock, random, report } = options
  let handOver: (() => void) | undefined
  let isStarted = false
  const own = createOwnDaemonSet(options)

  const unlisten = registry.onChange((change) => {
    if (change.kind !== 'bound' && change.kind !== 'gone') return
    handOver ??= clock.after(SETTLE_MS, () => {
      handOver = undefined
      setPods()
    })
  })

  function setPods(): void {
    capture.setPods([...registry.pods()].filter(holdsAddresses).flatMap(({ addresses }) => addresses))
  }

  async function putInPlace(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff({ clock, random, baseMs: 500, maxMs: 30_000 })
    for (;;) {
      try {
        setPods()
        await capture.start(signal)
        return
      } catch (error) {
        signal.throwIfAborted()
        if (!isCoded(error)) throw error
        report({ kind: 'interception-failed', code: error.code, message: error.message })
      }
      await backoff.wait(signal)
    }
  }

  /** What comes of it stands in the status; where it cannot be made, the rules' counters have to do. */
  async function tryOut(nodePath: string, signal: AbortSignal): Promise<void> {
    try {
      await capture.probe(nodePath, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!isCoded(error)) throw error
      // Stopping ends the probe before anything else.
      if (error.code === 'ABORTED') return
      report({ kind: 'interception-not-tried', code: error.code, message: error.message })
    }
  }

  /** Asks until somebody can say whether the DaemonSet is there, and meant for this node. */
  async function seeDaemonSet(signal: AbortSignal): Promise<void> {
    if (options.cleanup !== 'auto' || own === undefined) return
    const backoff = createBackoff({ clock, random, baseMs: 1_000, maxMs: 300_000 })
    for (;;) {
      try {
        const doubt = await own.see(signal)
        if (doubt !== undefined) report({ kind: 'unwise', setting: '--daemonset', why: doubt })
        return
      } catch (error) {
        signal.throwIfAborted()
        if (!isCoded(error)) throw error
        // A permission that is missing is given once the warning was read, and perhaps not before the next start.
        if (!error.retryable) {
          const why = `DaemonSet ${own.name} cannot be read (${error.message}), so the redirection stays when it goes`
          return report({ kind: 'unwise', setting: '--daemonset', why })
        }
      }
      await backoff.wait(signal)
    }
  }

  return {
    parts: [
      { name: 'interception', required: true, state: () => rulesState(capture) },
      { name: 'interface', required: true, state: () => interfaceState(capture) },
      { name: 'interception-seen', required: false, state: () => seenState(capture) },
      { name: 'pods-apart', required: false, state: () => apartState(capture) },
      { name: 'routing-guard', required: false, state: () => routingState(capture) },
    ],

    async start(signal) {
      isStarted = true
      const { probeWith } = options
      await Promise.all([
        putInPlace(signal).then(() => (probeWith === undefined ? undefined : tryOut(probeWith, signal))),
        seeDaemonSet(signal),
      ])
    },

    async stop() {
      unlisten()
      handOver?.()
      const { remove, why } = isStarted
        ? await whetherToRemove(options, own)
        : { remove: false, why: 'this agent has put none in place, and another may have' }
      if (!remove) {
        await capture.stop()
        return report({ kind: 'interception-stays', why })
      }
      try {
        await capture.remove()
        report({ kind: 'interception-removed', why })
      } catch (error) {
        if (!isCoded(error)) throw error
        report({ kind: 'interception-failed', code: error.code, message: error.message })
      }
    },
  }
}

/** In doubt the rules stay: without them pods would reach the role of the node. */
async function whetherToRemove(
  { cleanup, clock, capture }: InterceptionOptions,
  own: OwnDaemonSet | undefined,
): Promise<{ remove: boolean; why: string }> {
  if (cleanup !== 'auto') return { remove: cleanup === 'always', why: `--iptables-cleanup=${cleanup}` }
  if (own === undefined) return { remove: false, why: 'no --daemonset says which one would have to be gone' }
  const late = new AbortController()
  const cancel = clock.after(ASK_MS, () => late.abort())
  try {
    const { fate, why } = await own.ask(late.signal)
    // A node that goes from one DaemonSet to another has the other's agent already.
    if (fate === 'elsewhere' && capture.status().state === 'yielded') {
      return { remove: false, why: `${why}, and another agent has its rules in place` }
    }
    return { remove: fate !== 'stays', why }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return {
      remove: false,
      why: `whether DaemonSet ${own.name} still wants this node cannot be told: ${reason}`,
    }
  } finally {
    cancel()
  }
}

function rulesState(capture: CapturePort) {
  const status = capture.status()
  const { state, problem, backend, families, familyReasons, interception, yieldedTo } = status
  if (interception.kind === 'disproved') return { ok: false, reason: interception.evidence }
  if (state !== 'in-place' && state !== 'yielded')
    return { ok: false, reason: problem === undefined ? `rules are ${state}` : problem.message }
  const open = openWays(status)
  if (open.length > 0)
    return { ok: false, reason: open.map(({ why, remedy }) => `${why}; ${remedy}`).join('; ') }
  if (yieldedTo?.reached === 'refused')
    return { ok: false, reason: `the rules are those of ${yieldedTo.instance}, and nobody listens there` }
  const said = `${state} by ${backend ?? 'nothing'}: IPv4 ${families[4]}, IPv6 ${families[6]}`
  if (families[4] === 'redirected' || families[6] === 'redirected') return { ok: true, reason: said }
  return { ok: false, reason: [said, ...Object.values(familyReasons)].join('; ') }
}

function interfaceState(capture: CapturePort) {
  const { warning, sourcesEvidence } = capture.status()
  return warning === undefined
    ? { ok: true, reason: sourcesEvidence.join('; ') }
    : { ok: false, reason: `${warning.interface} carries no pod of this node: ${warning.suggestion}` }
}

/** Whether packets were seen to meet the rules: of a node whose pods have not asked yet, only a probe could tell. */
function seenState(capture: CapturePort) {
  const { interception } = capture.status()
  return interception.kind === 'unseen'
    ? {
        ok: false,
        reason:
          'unseen: no connection of a pod was redirected yet, and no probe could show it (--interception-probe, which needs CAP_SYS_ADMIN)',
      }
    : { ok: interception.kind === 'proven', reason: interception.evidence }
}

/** The guards in netfilter are there without it: who flushes all of netfilter opens the way until the repair. */
function routingState(capture: CapturePort) {
  const { families, reason } = capture.status().routing
  const said = `IPv4 ${families[4]}, IPv6 ${families[6]}`
  return reason === undefined
    ? { ok: !Object.values(families).includes('missing'), reason: said }
    : { ok: false, reason: `${said}: ${reason}` }
}

/** The agent is of use to the other pods: what is said of these is for people to act on. */
function apartState(capture: CapturePort) {
  const { podsApart } = capture.status()
  return podsApart === undefined
    ? { ok: true, reason: 'every known pod has an interface of the node' }
    : {
        ok: false,
        reason: `${podsApart} pods have no interface of their own on the node, as with macvlan: their requests may reach the metadata service of the node past every rule`,
      }
}
