import type { Report } from '@kube2iam-ts/core'
import type { NetfilterBackend, Support } from './backend.ts'
import type { CommandRunner } from './command-runner.ts'
import { detectBackend } from './detect-backend.ts'
import type { CaptureEvent } from './events.ts'
import type { NodeFiles } from './node-files.ts'
import type { CaptureSettings } from './settings.ts'

/** What the node offers, found out once. */
export interface NodeSetup {
  readonly backend: NetfilterBackend
  readonly others: readonly NetfilterBackend[]
  readonly support: Support
  readonly evidence: string
}

export interface NodeSetupFinder {
  /** Finds out the first time; what failed is tried again by the next call. */
  find(signal?: AbortSignal): Promise<NodeSetup>
  /** What a backend can do on this node. */
  probe(backend: NetfilterBackend, signal?: AbortSignal): Promise<Support>
}

export interface NodeSetupOptions {
  readonly settings: CaptureSettings
  readonly runner: CommandRunner
  readonly files: NodeFiles
  readonly report: Report<CaptureEvent>
}

export function createNodeSetupFinder({
  settings,
  runner,
  files,
  report,
}: NodeSetupOptions): NodeSetupFinder {
  let setup: Promise<NodeSetup> | undefined

  const prepare = async (signal?: AbortSignal): Promise<NodeSetup> => {
    const wanted = settings.backend ?? 'auto'
    const { backend, evidence, others } = await detectBackend({
      runner,
      files,
      wanted,
      ...(signal && { signal }),
    })
    report({ type: 'capture-backend-chosen', backend: backend.name, evidence })
    const support = await probe(backend, signal)
    if (!support[6].nat)
      report({ type: 'capture-ipv6-not-redirected', reason: support[6].reason ?? 'no IPv6 NAT' })
    return { backend, others, support, evidence }
  }

  /** A node booted with `ipv6.disable=1` has nothing to protect there. */
  const probe = async (backend: NetfilterBackend, signal?: AbortSignal): Promise<Support> => {
    const support = await backend.probe(signal)
    if ((await files.readText('/proc/net/if_inet6')) !== undefined) return support
    return { ...support, 6: { available: false, nat: false, absent: true, reason: 'this node has no IPv6' } }
  }

  return {
    probe,
    async find(signal) {
      setup ??= prepare(signal)
      try {
        return await setup
      } catch (error) {
        // A lock passes; the next call asks again.
        setup = undefined
        throw error
      }
    },
  }
}
