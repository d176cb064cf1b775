import type { IpAddress } from '@kube2iam-ts/core'
import type { CaptureSource } from './capture-rules.ts'
import type { CommandRunner } from './command-runner.ts'
import type { NodeFiles } from './node-files.ts'
import type { CaptureSettings } from './settings.ts'

export interface ResolveSourcesOptions {
  readonly settings: CaptureSettings
  /** Addresses of this node's pods, as far as they are known. */
  readonly pods: readonly IpAddress[]
  readonly runner: CommandRunner
  readonly files: NodeFiles
  readonly signal?: AbortSignal
}

export interface ResolvedSources {
  readonly sources: readonly CaptureSource[]
  /** Why, in short sentences for one log line. */
  readonly evidence: readonly string[]
  /** The interface that was named carries no pod. */
  readonly warning?: { readonly interface: string; readonly suggestion: string }
}

/** Finds by what pods' packets are known on this node. */
export async function resolveSources({ settings }: ResolveSourcesOptions): Promise<ResolvedSources> {
  const wanted = settings.hostInterface ?? { kind: 'auto' }
  if (wanted.kind === 'named') {
    return {
      sources: wanted.matches.map((match) => ({ kind: 'interface', match })),
      evidence: ['named by --host-interface'],
    }
  }
  const cidrs = settings.podCidrs ?? []
  if (cidrs.length > 0) {
    return {
      sources: cidrs.map(({ text }) => ({ kind: 'cidr', cidr: text })),
      evidence: ['the node’s pod address ranges'],
    }
  }
  return {
    sources: [{ kind: 'any' }],
    evidence: ['nothing is known of this node’s pods: any interface but lo'],
  }
}
