import type { IpAddress, PodIdentity } from '@kube2iam-ts/core'
import { olderThan } from './resource-version.ts'

/** What an event did to one pod. */
export type PodChange =
  /** The pod holds an address now, and did not before (or not this one). */
  | { readonly kind: 'bound'; readonly pod: PodIdentity }
  /** A pod that holds an address has other annotations, another phase and so on. */
  | { readonly kind: 'changed'; readonly pod: PodIdentity; readonly before: PodIdentity }
  /** A host-network pod, which holds no address, is there, or is otherwise than it was: a token can name it. */
  | { readonly kind: 'seen'; readonly pod: PodIdentity }
  /** Deleted or finished, whether it had an address of its own or not; or its address was taken away. */
  | { readonly kind: 'gone'; readonly pod: PodIdentity }

/** A pod with the moment from which it was known at its addresses (`Clock.now`). */
export interface Binding {
  readonly pod: PodIdentity
  readonly boundAt: number
  /** What `Moment.mark` gave then. */
  readonly mark: number
}

/** When an event is applied. */
export interface Moment {
  /** `Clock.now`. */
  readonly now: number
  /** What the node shows of its interfaces at this moment; asked only where a pod is bound to an address. */
  mark(): number
}

/** What an event did: to pods, and to which addresses' claims. */
export interface IndexUpdate {
  readonly changes: readonly PodChange[]
  readonly addresses: ReadonlySet<IpAddress>
}

/** Which pods claim which address. The one writer is the registry; everything here is synchronous. */
export interface PodIndex {
  upsert(pod: PodIdentity, moment: Moment): IndexUpdate
  /** The pod was deleted, as an event tells: it never comes back. */
  remove(pod: PodIdentity): IndexUpdate
  /**
   * Replaces everything in one step; what is not named is gone, and comes back only where a list names it that is not
   * older (`version`: the list's, where it tells one).
   */
  replace(pods: readonly PodIdentity[], moment: Moment, version?: string): IndexUpdate
  /** None, the one owner, or all who claim it. */
  claims(address: IpAddress): readonly Binding[]
  /** Whether it is an address of a host-network pod, and so the node's. */
  isNode(address: IpAddress): boolean
  pods(): IterableIterator<PodIdentity>
  readonly size: number
  /** How many addresses are claimed by more than one pod. */
  readonly ambiguous: number
}

/**
 * Whether the pod holds its addresses. A finished pod's address is free for the next one; a host-network pod's is
 * the node's. A terminating pod keeps its own until it is gone, and a pending one has it from the moment it is known
 * (init containers ask for credentials too).
 */
export const holdsAddresses = (pod: PodIdentity): boolean => !pod.hostNetwork && !isFinished(pod)

/** Whether its containers have ended for good. */
export const isFinished = ({ phase }: PodIdentity): boolean => phase === 'Succeeded' || phase === 'Failed'

/** How many pods that are gone are remembered, so that a late or repeated event cannot bring one back. */
const REMEMBERED_GONE = 1024

const NOBODY: readonly Binding[] = Object.freeze([])

interface Tables {
  readonly byUid: Map<string, Binding>
  /** One binding, or several in a list: nearly every address has one, and a list costs. */
  readonly byAddress: Map<IpAddress, Binding | readonly Binding[]>
  /** Nested, because a joined key would cost a string for every pod. */
  readonly byName: Map<string, Map<string, Binding>>
  /** How many host-network pods are at each address. */
  readonly ofNode: Map<IpAddress, number>
}

export function createPodIndex(): PodIndex {
  let tables = emptyTables()
  /** The uids of pods whose deletion was told. */
  const deleted = new Map<string, true>()
  /** The uids of pods that only seem to be gone, with the version of the list that left them out, if there was one. */
  const missing = new Map<string, string | undefined>()

  return {
    upsert(pod, moment) {
      const update = newUpdate()
      if (deleted.has(pod.uid) || missing.has(pod.uid)) return update
      const namesake = tables.byName.get(pod.namespace)?.get(pod.name)
      if (namesake !== undefined && namesake.pod.uid !== pod.uid) {
        // A name belongs to one pod at a time, so one of the two is gone for certain: the one created earlier. It is
        // not written off for good, because two API servers' clocks may disagree: the next list knows better.
        if (namesake.pod.createdAt > pod.createdAt) return update
        drop(namesake, update)
        keep(missing, namesake.pod.uid, undefined)
      }
      put(tables, pod, moment, update)
      return update
    },
    remove(pod) {
      const update = newUpdate()
      const known = tables.byUid.get(pod.uid)
      keep(deleted, pod.uid, true)
      if (known !== undefined) drop(known, update)
      return update
    },
    replace(pods, moment, version) {
      const update = newUpdate()
      const before = tables
      const next = emptyTables()
      for (const pod of pods) {
        if (deleted.has(pod.uid) || isStillMissing(pod.uid, version)) continue
        missing.delete(pod.uid)
        const known = before.byUid.get(pod.uid)
        const binding = bindingOf(pod, known, moment)
        insert(next, binding)
        compare(known?.pod, pod, update)
      }
      for (const [uid, { pod }] of before.byUid) {
        if (next.byUid.has(uid)) continue
        keep(missing, uid, version)
        compare(pod, undefined, update)
      }
      tables = next
      return update
    },
    claims(address) {
      const found = tables.byAddress.get(address)
      if (found === undefined) return NOBODY
      return isList(found) ? found : [found]
    },
    isNode: (address) => tables.ofNode.has(address),
    *pods() {
      for (const { pod } of tables.byUid.values()) yield pod
    },
    get size() {
      return tables.byUid.size
    },
    get ambiguous() {
      let count = 0
      for (const found of tables.byAddress.values()) if (isList(found)) count += 1
      return count
    },
  }

  function put(into: Tables, pod: PodIdentity, moment: Moment, update: MutableUpdate): void {
    const known = into.byUid.get(pod.uid)
    const binding = bindingOf(pod, known, moment)
    if (known !== undefined) remove(into, known)
    insert(into, binding)
    compare(known?.pod, pod, update)
  }

  function drop(binding: Binding, update: MutableUpdate): void {
    remove(tables, binding)
    compare(binding.pod, undefined, update)
  }

  function isStillMissing(uid: string, version: string | undefined): boolean {
    const leftOutAt = missing.get(uid)
    return version !== undefined && leftOutAt !== undefined && olderThan(version, leftOutAt)
  }
}

/** Remembers it as the newest, and forgets the oldest. */
function keep<Value>(gone: Map<string, Value>, uid: string, value: Value): void {
  gone.delete(uid)
  gone.set(uid, value)
  const [oldest] = gone.keys()
  if (oldest !== undefined && gone.size > REMEMBERED_GONE) gone.delete(oldest)
}

interface MutableUpdate extends IndexUpdate {
  readonly changes: PodChange[]
  readonly addresses: Set<IpAddress>
}

const newUpdate = (): MutableUpdate => ({ changes: [], addresses: new Set() })

const emptyTables = (): Tables => ({
  byUid: new Map(),
  byAddress: new Map(),
  byName: new Map(),
  ofNode: new Map(),
})

const isList = (found: Binding | readonly Binding[]): found is readonly Binding[] => Array.isArray(found)

function bindingOf(pod: PodIdentity, known: Binding | undefined, moment: Moment): Binding {
  const had = known !== undefined && holdsAddresses(known.pod) ? known.pod.addresses : []
  const holds = holdsAddresses(pod)
  const isNew = !holds || pod.addresses.some((address) => !had.includes(address))
  if (known !== undefined && !isNew) return { pod, boundAt: known.boundAt, mark: known.mark }
  return { pod, boundAt: moment.now, mark: holds && pod.addresses.length > 0 ? moment.mark() : 0 }
}

function insert({ byUid, byAddress, byName, ofNode }: Tables, binding: Binding): void {
  const { pod } = binding
  byUid.set(pod.uid, binding)
  const names = byName.get(pod.namespace)
  if (names === undefined) byName.set(pod.namespace, new Map([[pod.name, binding]]))
  else names.set(pod.name, binding)
  if (pod.hostNetwork) for (const address of pod.addresses) count(ofNode, address, 1)
  if (!holdsAddresses(pod)) return
  for (const address of pod.addresses) {
    const found = byAddress.get(address)
    byAddress.set(
      address,
      found === undefined ? binding : isList(found) ? [...found, binding] : [found, binding],
    )
  }
}

function remove({ byUid, byAddress, byName, ofNode }: Tables, binding: Binding): void {
  const { pod } = binding
  byUid.delete(pod.uid)
  const names = byName.get(pod.namespace)
  if (names?.get(pod.name) === binding) names.delete(pod.name)
  if (names?.size === 0) byName.delete(pod.namespace)
  if (pod.hostNetwork) for (const address of pod.addresses) count(ofNode, address, -1)
  if (!holdsAddresses(pod)) return
  for (const address of pod.addresses) {
    const found = byAddress.get(address)
    if (found === undefined) continue
    const left = isList(found) ? found.filter((other) => other !== binding) : []
    const [only] = left
    if (only === undefined) byAddress.delete(address)
    else byAddress.set(address, left.length === 1 ? only : left)
  }
}

function count(counts: Map<IpAddress, number>, address: IpAddress, by: number): void {
  const now = (counts.get(address) ?? 0) + by
  if (now === 0) counts.delete(address)
  else counts.set(address, now)
}

function compare(
  before: PodIdentity | undefined,
  after: PodIdentity | undefined,
  update: MutableUpdate,
): void {
  const had = before !== undefined && holdsAddresses(before) ? before.addresses : []
  const has = after !== undefined && holdsAddresses(after) ? after.addresses : []
  for (const address of had) if (!has.includes(address)) update.addresses.add(address)
  for (const address of has) if (!had.includes(address)) update.addresses.add(address)
  const wasThere = before !== undefined && !isFinished(before)
  const isThere = after !== undefined && !isFinished(after)
  if (wasThere && (!isThere || (had.length > 0 && has.length === 0)))
    update.changes.push({ kind: 'gone', pod: before })
  else if (after !== undefined && has.some((address) => !had.includes(address))) {
    update.changes.push({ kind: 'bound', pod: after })
  } else if (before !== undefined && after !== undefined && has.length > 0 && !samePod(before, after)) {
    update.changes.push({ kind: 'changed', pod: after, before })
  } else if (after?.hostNetwork && isThere && !(before !== undefined && wasThere && samePod(before, after))) {
    update.changes.push({ kind: 'seen', pod: after })
  }
}

function samePod(a: PodIdentity, b: PodIdentity): boolean {
  return (
    a.phase === b.phase &&
    a.serviceAccount === b.serviceAccount &&
    a.node === b.node &&
    a.deletedAt?.getTime() === b.deletedAt?.getTime() &&
    a.sandboxSeconds === b.sandboxSeconds &&
    a.addresses.join() === b.addresses.join() &&
    sameAnnotations(a.annotations, b.annotations)
  )
}

/** Whether two sets of annotations are equal. */
export function sameAnnotations(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}
