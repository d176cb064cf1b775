import type { IpAddress, NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import { parseIpAddress } from '@kube2iam-ts/core'
import { aNamespace, collectReports, createFakeClock, type FakeClock } from '@kube2iam-ts/core/testing'
import {
  createRegistry,
  type Lookup,
  type PodRegistry,
  type RegistryEvent,
  type RegistryOptions,
} from '../src/index.ts'
import { createScriptedFeed, type ScriptedFeed } from '../src/testing.ts'

/** A registry on scripted feeds and a clock that stands still. */
export interface Following {
  readonly registry: PodRegistry
  readonly pods: ScriptedFeed<PodIdentity>
  readonly namespaces: ScriptedFeed<NamespaceRecord>
  readonly serviceAccounts: ScriptedFeed<ServiceAccountRecord>
  readonly clock: FakeClock
  readonly events: RegistryEvent[]
  /** Lets what was pushed arrive. */
  readonly settle: () => Promise<void>
  /** Who the address is: a pod's name, or what the lookup says instead. */
  readonly who: (address: string) => string
  readonly waitFor: (address: string, ms: number, signal?: AbortSignal) => Promise<Lookup>
  readonly close: () => Promise<void>
}

export type FollowingOptions = Partial<Pick<RegistryOptions, 'attachments' | 'confirm' | 'settings'>> & {
  withServiceAccounts?: boolean
  signal?: AbortSignal
}

export function startFollowing({
  withServiceAccounts = false,
  signal,
  ...options
}: FollowingOptions = {}): Following {
  const pods = createScriptedFeed<PodIdentity>()
  const namespaces = createScriptedFeed<NamespaceRecord>()
  const serviceAccounts = createScriptedFeed<ServiceAccountRecord>()
  const clock = createFakeClock()
  const { events, report } = collectReports<RegistryEvent>()
  const registry = createRegistry({
    pods,
    namespaces,
    ...(withServiceAccounts && { serviceAccounts }),
    clock,
    report,
    ...options,
  })
  registry.start(signal)
  return {
    registry,
    pods,
    namespaces,
    serviceAccounts,
    clock,
    events,
    settle: () => clock.advance(0),
    who: (address) => nameOf(registry.lookup(parseIpAddress(address))),
    waitFor: (address, ms, signal = new AbortController().signal) =>
      registry.waitFor(parseIpAddress(address), { deadline: clock.monotonic() + ms, signal }),
    close: () => registry.close(),
  }
}

/** A following whose feeds have had their first snapshot: these pods, and the namespace `default`. */
export async function startSynced(
  pods: readonly PodIdentity[] = [],
  options?: FollowingOptions,
): Promise<Following> {
  const following = startFollowing(options)
  following.pods.snapshot(...pods)
  following.namespaces.snapshot(aNamespace({ name: 'default' }))
  if (options?.withServiceAccounts) following.serviceAccounts.snapshot()
  await following.registry.synced()
  return following
}

export const nameOf = (lookup: Lookup): string => (lookup.kind === 'found' ? lookup.pod.name : lookup.kind)

export const ip = (text: string): IpAddress => parseIpAddress(text)
