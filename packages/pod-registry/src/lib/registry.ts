import {
  type Cancel,
  type Clock,
  type IpAddress,
  ignoreReports,
  type NamespaceRecord,
  type PodIdentity,
  type Report,
  type ServiceAccountRecord,
} from '@kube2iam-ts/core'
import type { Attachments } from './attachments.ts'
import { type ConfirmAddress, createConfirmations } from './confirmations.ts'
import { createDoubts } from './doubts.ts'
import { createExaminer } from './examiner.ts'
import type { Feed, FeedEvent } from './feed.ts'
import { createFeedProgress, type FeedProgress } from './feed-progress.ts'
import type { Lookup } from './lookup.ts'
import { createPendingLookups } from './pending-lookups.ts'
import { createPodIndex, type IndexUpdate, type Moment } from './pod-index.ts'
import type { PodRegistry, WaitForOptions } from './pod-registry.ts'
import { createRecordStore } from './record-store.ts'
import type { RegistryChange, RegistryEvent } from './registry-events.ts'
import { untilAborted } from './until-aborted.ts'

export interface RegistrySettings {
  /** Without a sign of life for longer than this, addresses that are not bound yet are not answered. 5 minutes. */
  maxStalenessMs?: number
  /** How many lookups may wait for one address. 64. */
  maxWaitersPerAddress?: number
  /** How many lookups may wait altogether. 1024. */
  maxWaiters?: number
  /**
   * Whether `confirm` is asked too where the watch may be behind or two pods claim the address, and not only where the
   * node contradicts the watch. True.
   */
  confirmWhenBehind?: boolean
}

export interface RegistryOptions {
  pods: Feed<PodIdentity>
  namespaces: Feed<NamespaceRecord>
  /** Only where roles may come from service accounts. */
  serviceAccounts?: Feed<ServiceAccountRecord>
  /** Asks the API server for one address where what the watch said is in doubt. */
  confirm?: ConfirmAddress
  /** What the node itself knows of addresses: it contradicts the watch where an address has moved unnoticed. */
  attachments?: Attachments
  clock: Clock
  report?: Report<RegistryEvent>
  settings?: RegistrySettings
}

/** How long after a question the same is asked again for who still waits; never sooner. */
const ASK_AGAIN_MS = 1000

/** Makes a registry; nothing happens before `start`. */
export function createRegistry(options: RegistryOptions): PodRegistry {
  const { clock, report = ignoreReports, settings = {} } = options
  const {
    maxStalenessMs = 300_000,
    maxWaitersPerAddress = 64,
    maxWaiters = 1024,
    confirmWhenBehind = true,
  } = settings
  const stopped = new AbortController()
  const index = createPodIndex()
  const namespaces = createRecordStore<NamespaceRecord>(({ name }) => name)
  const serviceAccounts = createRecordStore<ServiceAccountRecord>(accountKey)
  const pending = createPendingLookups({ clock, perAddress: maxWaitersPerAddress, total: maxWaiters })
  const listeners = new Set<(change: RegistryChange) => void>()
  const ambiguous = new Set<IpAddress>()
  const loops: Promise<void>[] = []
  const podsProgress = createFeedProgress('pods', clock, maxStalenessMs, report)
  const namespacesProgress = createFeedProgress('namespaces', clock, maxStalenessMs, report)
  const accountsProgress =
    options.serviceAccounts && createFeedProgress('serviceAccounts', clock, maxStalenessMs, report)
  const all = [podsProgress, namespacesProgress, ...(accountsProgress ? [accountsProgress] : [])]
  const doubts = options.attachments && createDoubts({ attachments: options.attachments, clock, report })
  const confirmations =
    options.confirm &&
    createConfirmations({
      confirm: options.confirm,
      clock,
      report,
      signal: stopped.signal,
      ...(doubts && { mark: doubts.look, onAnswer: doubts.answered }),
    })
  const examine = createExaminer({
    index,
    progress: podsProgress,
    confirmations,
    confirmWhenBehind,
    doubts,
    clock,
    found: (pod, boundAt) => ({
      kind: 'found',
      pod,
      boundAt,
      namespace: namespaces.get(pod.namespace),
      serviceAccount:
        options.serviceAccounts &&
        serviceAccounts.get(accountKey({ namespace: pod.namespace, name: pod.serviceAccount })),
    }),
  })

  const registry: PodRegistry = {
    start(signal) {
      const end = (): void => void registry.close()
      if (signal?.aborted) stopped.abort()
      signal?.addEventListener('abort', end, { once: true, signal: stopped.signal })
      loops.push(follow(podsProgress, options.pods, onPods))
      loops.push(follow(namespacesProgress, options.namespaces, onNamespaces))
      if (options.serviceAccounts !== undefined && accountsProgress !== undefined) {
        loops.push(follow(accountsProgress, options.serviceAccounts, onServiceAccounts))
      }
    },
    async synced(signal) {
      await untilAborted(Promise.all(all.map(({ synced }) => synced)), signal, stopped.signal)
    },
    lookup: (address) => examine(address).answer,
    waitFor,
    isInDoubt: (address) =>
      confirmations !== undefined &&
      examine(address).isDoubtful &&
      (confirmations.isAsking(address) || !confirmations.isAsked(address)),
    pods: () => index.pods(),
    namespace: (name) => namespaces.get(name),
    serviceAccount: (namespace, name) => serviceAccounts.get(accountKey({ namespace, name })),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    freshness() {
      const pods = podsProgress.freshness()
      return {
        synced: all.every((progress) => progress.isSynced()),
        stale: pods.stale,
        ageMs: pods.ageMs,
        feeds: {
          pods,
          namespaces: namespacesProgress.freshness(),
          ...(accountsProgress && { serviceAccounts: accountsProgress.freshness() }),
        },
      }
    },
    sizes: () => ({
      pods: index.size,
      namespaces: namespaces.size,
      serviceAccounts: serviceAccounts.size,
      ambiguousAddresses: ambiguous.size,
      waiting: pending.size,
    }),
    debugStore: () => ({
      pods: [...index.pods()],
      namespaces: [...namespaces.values()],
      serviceAccounts: [...serviceAccounts.values()],
    }),
    async close() {
      stopped.abort()
      pending.close()
      await Promise.all(loops)
    },
  }
  return registry

  /** Whether waiting could not make the answer better. */
  function isSettled(answer: Lookup): boolean {
    if (answer.kind === 'node') return true
    if (answer.kind !== 'found') return false
    if (answer.namespace === undefined) return false
    return options.serviceAccounts === undefined || answer.serviceAccount !== undefined
  }

  async function waitFor(address: IpAddress, { deadline, signal }: WaitForOptions): Promise<Lookup> {
    const startedAt = clock.monotonic()
    const { answer: first, isDoubtful } = examine(address)
    const lookup = (): Lookup => examine(address).answer
    if (isDoubtful) {
      confirmations?.ask(address, () => pending.wake(address))
    }
    const answer = (): Lookup | undefined => {
      if (confirmations?.isAsking(address)) return undefined
      const now = lookup()
      return isSettled(now) ? now : undefined
    }
    if (isSettled(first) && confirmations?.isAsking(address) !== true) return first
    const stopAsking = askAgain(address)
    const given = await pending
      .wait(address, { deadline, signal, answer, last: lookup })
      .finally(() => stopAsking())
    if (given.kind === 'overloaded') report({ kind: 'lookup-overloaded', address, waiting: pending.size })
    else report({ kind: 'lookup-waited', outcome: given.kind, waitedMs: clock.monotonic() - startedAt })
    return given
  }

  /** Asks once more each second, as long as somebody waits and there is reason to. */
  function askAgain(address: IpAddress): Cancel {
    if (confirmations === undefined) return () => {}
    let cancel: Cancel = () => {}
    const later = (): void => {
      cancel = clock.after(ASK_AGAIN_MS, () => {
        if (examine(address).isDoubtful) confirmations.ask(address, () => pending.wake(address))
        later()
      })
    }
    later()
    return () => cancel()
  }

  async function follow<Item>(
    progress: FeedProgress,
    feed: Feed<Item>,
    onEvent: (event: FeedEvent<Item>) => number,
  ): Promise<void> {
    for await (const event of feed.events(stopped.signal)) {
      if (stopped.signal.aborted) return
      const wasBehind = progress.isBehind()
      progress.note(event)
      const corrected = onEvent(event)
      if (event.kind === 'snapshot') progress.applied(event.items.length, corrected)
      // What was unknown or in doubt because of that may be answered now, although nothing about it has changed.
      if (wasBehind && !progress.isBehind()) pending.wakeAll()
    }
  }

  function onPods(event: FeedEvent<PodIdentity>): number {
    switch (event.kind) {
      case 'snapshot':
        return settle(index.replace(event.items, thisMoment(), event.version))
      case 'upsert':
        return settle(index.upsert(event.item, thisMoment()))
      case 'delete':
        return settle(index.remove(event.item))
      case 'progress':
      case 'resumed':
      case 'stale':
        return 0
      default:
        return event satisfies never
    }
  }

  /** The node is looked at once for an event, and after it has come: the interfaces of its pods are there. */
  function thisMoment(): Moment {
    let mark: number | undefined
    return {
      now: clock.now(),
      mark() {
        mark ??= doubts?.look() ?? 0
        return mark
      },
    }
  }

  function settle({ changes, addresses }: IndexUpdate): number {
    for (const address of addresses) {
      doubts?.forget(address)
      const claims = index.claims(address)
      if (claims.length > 1) {
        ambiguous.add(address)
        report({ kind: 'address-ambiguous', address, pods: claims.map(({ pod }) => pod) })
      } else if (ambiguous.delete(address)) report({ kind: 'address-resolved', address })
    }
    for (const change of changes) {
      report({ kind: 'pod', change: change.kind, pod: change.pod })
      tell(change)
      // A sandbox that was made anew is no change of addresses, and ends a doubt.
      if (change.kind === 'changed') for (const address of change.pod.addresses) pending.wake(address)
    }
    for (const address of addresses) pending.wake(address)
    return changes.length
  }

  function onNamespaces(event: FeedEvent<NamespaceRecord>): number {
    const changed = namespaces.apply(event)
    for (const [name, after] of changed) tell({ kind: 'namespace', name, after })
    if (changed.size > 0) pending.wakeAll()
    return changed.size
  }

  function onServiceAccounts(event: FeedEvent<ServiceAccountRecord>): number {
    const changed = serviceAccounts.apply(event)
    for (const [key, after] of changed) {
      const [namespace = '', name = ''] = key.split('/')
      tell({ kind: 'service-account', namespace, name, after })
    }
    if (changed.size > 0) pending.wakeAll()
    return changed.size
  }

  function tell(change: RegistryChange): void {
    for (const listener of listeners) listener(change)
  }
}

const accountKey = ({ namespace, name }: { namespace: string; name: string }): string =>
  `${namespace}/${name}`
