import { type Clock, createBackoff, isCoded, type Random, type Report } from '@kube2iam-ts/core'
import type { NodeTaints } from '@kube2iam-ts/pod-registry/kubernetes'

export type StartupTaintEvent =
  | { readonly kind: 'taint-removed'; readonly taint: string; readonly node: string }
  | { readonly kind: 'taint-failed'; readonly taint: string; readonly node: string; readonly reason: string }

export interface StartupTaintOptions {
  readonly taints: Pick<NodeTaints, 'remove'>
  readonly node: string
  /** `key[=value][:Effect]`; the key is what counts. */
  readonly taint: string
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<StartupTaintEvent>
}

/**
 * Takes the startup taint off the node, trying until it is off: Karpenter's `startupTaints` and node groups made with
 * such a taint keep pods away until then. One that is not there is success. Rejects with `ABORTED` only.
 */
export async function removeStartupTaint(options: StartupTaintOptions, signal: AbortSignal): Promise<void> {
  const { taints, node, taint, clock, random, report } = options
  const backoff = createBackoff({ clock, random, baseMs: 500, maxMs: 15_000 })
  const key = taint.split(/[=:]/)[0] ?? taint
  for (;;) {
    try {
      if ((await taints.remove(node, key, signal)) === 'removed')
        report({ kind: 'taint-removed', taint, node })
      return
    } catch (error) {
      signal.throwIfAborted()
      if (!isCoded(error)) throw error
      report({ kind: 'taint-failed', taint, node, reason: error.message })
    }
    await backoff.wait(signal)
  }
}
