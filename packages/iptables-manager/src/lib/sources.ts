import type { Cidr, IpAddress } from '@kube2iam-ts/core'
import { chooseSources, type ResolvedSources } from './choose-sources.ts'
import { readCniConfig } from './cni-config.ts'
import type { CommandRunner } from './command-runner.ts'
import type { NodeFiles } from './node-files.ts'
import { lookUpRoutes } from './route-lookup.ts'
import type { CaptureSettings } from './settings.ts'

/** What is known of this node's pods. */
export interface NodePods {
  readonly addresses: readonly IpAddress[]
  /** The node's pod address ranges (`Node.spec.podCIDRs`); those of the settings unless given. */
  readonly cidrs?: readonly Cidr[]
}

export interface SourceFinderOptions {
  readonly settings: CaptureSettings
  readonly runner: CommandRunner
  readonly files: NodeFiles
}

/** Finds out by what pods' packets are known on this node, again whenever pods come and go. */
export interface SourceFinder {
  find(pods: NodePods, signal?: AbortSignal): Promise<ResolvedSources>
}

export function createSourceFinder({ settings, runner, files }: SourceFinderOptions): SourceFinder {
  let known: ReadonlyMap<IpAddress, string> = new Map()

  return {
    async find({ addresses, cidrs }, signal) {
      // All of them in one call: an address may have passed to another pod since.
      const [{ devices, defaultDevices, links }, cni] = await Promise.all([
        lookUpRoutes(runner, addresses, signal),
        readCniConfig(files),
      ])
      known = new Map(
        addresses.flatMap((address) => {
          const now = devices.get(address)
          // A pod loses its interface before it is gone: no reason to take it for one that never had any.
          const hasOwn = now !== undefined && !defaultDevices.has(now)
          const device = hasOwn ? now : (known.get(address) ?? now)
          return device === undefined ? [] : [[address, device] as const]
        }),
      )
      return chooseSources(settings.hostInterface ?? { kind: 'auto' }, {
        podDevices: known,
        defaultDevices,
        cni,
        links,
        podCidrs: cidrs ?? settings.podCidrs ?? [],
      })
    },
  }
}
