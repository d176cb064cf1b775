import { type Clock, createBackoff, isCoded, type Random, type Report } from '@kube2iam-ts/core'
import { holdsAddresses, type PodRegistry } from '@kube2iam-ts/pod-registry'
import type { DaemonSetReader } from '@kube2iam-ts/pod-registry/kubernetes'
import type { CapturePort } from './agent-deps.ts'
import type { AgentEvent } from './agent-events.ts'
import type { HealthPart } from './health.ts'

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
}

/** The rules, from the agent's start to its end. */
export interface Interception {
  readonly parts: readonly HealthPart[]
  /** Tries until the rules are in place. Rejects with `ABORTED` only. */
  start(signal: AbortSignal): Promise<void>
  /** Ends the upkeep, and removes the rules only where the agent is being uninstalled. */
  stop(): Promise<void>
}

/** How long stopping waits for the API server to say whether the agent is being uninstalled. */
const ASK_MS = 1_000
/** Pods come in groups: their addresses are handed over once for all of them. */
const SETTLE_MS = 100

export function createInterception(options: InterceptionOptions): Interception {
  const { capture, registry, clock, random, report } = options
  let handOver: (() => void) | undefined

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

  return {
    parts: [
      { name: 'interception', required: true, state: () => rulesState(capture) },
      { name: 'interface', required: true, state: () => interfaceState(capture) },
    ],

    async start(signal) {
      const backoff = createBackoff({ clock, random, baseMs: 500, maxMs: 30_000 })
      for (;;) {
        try {
          setPods()
          await capture.start(signal)
          // What came of it stands in the status; where privileges do not allow it, the rules' counters have to do.
          if (options.probeWith !== undefined) await capture.probe(options.probeWith, signal)
          return
        } catch (error) {
          signal.throwIfAborted()
          if (!isCoded(error)) throw error
          report({ kind: 'interception-failed', code: error.code, message: error.message })
        }
        await backoff.wait(signal)
      }
    },

    async stop() {
      unlisten()
      handOver?.()
      const { remove, why } = await whetherToRemove(options)
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
async function whetherToRemove(options: InterceptionOptions): Promise<{ remove: boolean; why: string }> {
  const { cleanup, daemonset, daemonSets, clock } = options
  if (cleanup !== 'auto') return { remove: cleanup === 'always', why: `--iptables-cleanup=${cleanup}` }
  if (daemonset === undefined || daemonSets === undefined) {
    return { remove: false, why: 'no --daemonset says which one would have to be gone' }
  }
  const late = new AbortController()
  const cancel = clock.after(ASK_MS, () => late.abort())
  try {
    const [namespace = '', name = ''] = daemonset.split('/')
    const state = await daemonSets.read(namespace, name, late.signal)
    return state.kind === 'present'
      ? { remove: false, why: `DaemonSet ${daemonset} is still there` }
      : { remove: true, why: `DaemonSet ${daemonset} is ${state.kind}` }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { remove: false, why: `whether DaemonSet ${daemonset} is still there cannot be told: ${reason}` }
  } finally {
    cancel()
  }
}

function rulesState(capture: CapturePort) {
  const { state, problem, backend, families, interception } = capture.status()
  if (interception.kind === 'disproved') return { ok: false, reason: interception.evidence }
  if (state === 'in-place' || state === 'yielded') {
    return {
      ok: true,
      reason: `${state} by ${backend ?? 'nothing'}: IPv4 ${families[4]}, IPv6 ${families[6]}`,
    }
  }
  return { ok: false, reason: problem === undefined ? `rules are ${state}` : problem.message }
}

function interfaceState(capture: CapturePort) {
  const { warning, sourcesEvidence } = capture.status()
  return warning === undefined
    ? { ok: true, reason: sourcesEvidence.join('; ') }
    : { ok: false, reason: `${warning.interface} carries no pod of this node: ${warning.suggestion}` }
}
