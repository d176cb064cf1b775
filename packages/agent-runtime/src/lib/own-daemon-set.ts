import { isCoded } from '@kube2iam-ts/core'
import type { DaemonSetReader, NodeLabelsReader, NodePlacement } from '@kube2iam-ts/pod-registry/kubernetes'
import { type Placement, placementOn, takesEveryNode } from './node-placement.ts'

export interface OwnDaemonSetOptions {
  /** As namespace/name. */
  readonly daemonset: string | undefined
  readonly daemonSets: DaemonSetReader | undefined
  readonly node: string | undefined
  readonly nodeLabels: NodeLabelsReader | undefined
}

/** What the agent's end means: `gone` and `elsewhere` are for good, `stays` is a restart or cannot be told. */
export interface Fate {
  readonly fate: 'gone' | 'elsewhere' | 'stays'
  readonly why: string
}

/** The DaemonSet that the agent's pod belongs to. */
export interface OwnDaemonSet {
  readonly name: string
  /**
   * Looks at start, and returns what speaks against its being the agent's own. Only what was seen then can be missed
   * later: a name that is wrong looks like an uninstall. Rejects where the DaemonSet cannot be read.
   */
  see(signal: AbortSignal): Promise<string | undefined>
  /** Looks at the end. Rejects where the DaemonSet cannot be read. */
  ask(signal: AbortSignal): Promise<Fate>
}

/** `undefined` where there is none to ask about, or nobody to ask. */
export function createOwnDaemonSet(options: OwnDaemonSetOptions): OwnDaemonSet | undefined {
  const { daemonset: name, daemonSets, node, nodeLabels } = options
  if (name === undefined || daemonSets === undefined) return undefined
  const [namespace = '', own = ''] = name.split('/')
  let wasThere = false
  /** Whether it chose this node once: only then has it stopped to. */
  let wasWanted = false

  /** A node that cannot be read makes nothing clear; only what may come right is worth another try. */
  async function placed(
    placement: NodePlacement | undefined,
    signal: AbortSignal,
  ): Promise<{ placement: Placement; doubt?: string }> {
    if (placement === undefined) return { placement: 'unclear' }
    if (takesEveryNode(placement)) return { placement: 'wanted' }
    if (node === undefined || nodeLabels === undefined) return { placement: 'unclear' }
    try {
      const labels = await nodeLabels.read(node, signal)
      return { placement: placementOn({ name: node, labels }, placement) }
    } catch (error) {
      if (!isCoded(error) || error.retryable) throw error
      return { placement: 'unclear', doubt: `node ${node} cannot be read (${error.message})` }
    }
  }

  return {
    name,
    async see(signal) {
      const state = await daemonSets.read(namespace, own, signal)
      wasThere = state.kind !== 'absent'
      if (state.kind === 'absent') {
        return `there is no DaemonSet ${name}, so the redirection stays when it goes`
      }
      if (state.kind === 'deleting') return undefined
      const { placement, doubt } = await placed(state.placement, signal)
      wasWanted = placement === 'wanted'
      if (placement === 'not-wanted') {
        return `DaemonSet ${name} does not choose node ${node}, and may be another's: the redirection stays until it goes`
      }
      return doubt && `${doubt}, so the redirection stays when DaemonSet ${name} leaves the node`
    },
    async ask(signal) {
      const state = await daemonSets.read(namespace, own, signal)
      if (state.kind === 'deleting') return { fate: 'gone', why: `DaemonSet ${name} is deleting` }
      if (state.kind === 'absent') {
        return wasThere
          ? { fate: 'gone', why: `DaemonSet ${name} is absent` }
          : {
              fate: 'stays',
              why: `whether the agent is uninstalled cannot be told: DaemonSet ${name} was never seen`,
            }
      }
      const still = `DaemonSet ${name} is still there`
      const { placement, doubt } = await placed(state.placement, signal)
      if (placement === 'wanted') return { fate: 'stays', why: still }
      if (placement === 'unclear') {
        return {
          fate: 'stays',
          why: `${still}, and perhaps wants this node: ${doubt ?? 'it cannot be told'}`,
        }
      }
      return wasWanted
        ? { fate: 'elsewhere', why: `DaemonSet ${name} does not choose node ${node} any more` }
        : { fate: 'stays', why: `${still}, and was never seen to choose node ${node}` }
    },
  }
}
