import type { PodIdentity } from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { createRegistry, type Feed, type FeedEvent, type Lookup, type PodRegistry } from '../src/index.ts'
import { createAddressConfirmation, createNamespaceFeed, createPodFeed } from '../src/kubernetes.ts'
import { createFakeApiServer, type FakeApiServer, type KubernetesObject } from '../src/testing.ts'
import { ip } from './following.ts'
import { createModelNode, type ModelNode } from './model-node.ts'

/** One thing that happens: to pods, to the connection, or to time. */
export type Step =
  | {
      readonly kind: 'create'
      readonly name: number
      readonly address: number
      readonly hostNetwork: boolean
    }
  | { readonly kind: 'move'; readonly name: number; readonly address: number }
  | { readonly kind: 'finish'; readonly name: number; readonly phase: 'Succeeded' | 'Failed' }
  | { readonly kind: 'terminate'; readonly name: number }
  | { readonly kind: 'delete'; readonly name: number }
  | { readonly kind: 'recreate'; readonly name: number; readonly address: number }
  /** The pod's sandbox dies and is made anew with the same address: another interface. */
  | { readonly kind: 'resandbox'; readonly name: number }
  /** The kubelet keeps to itself what happens on the node, for half a minute at most. */
  | { readonly kind: 'kubelet-behind'; readonly on: boolean }
  | { readonly kind: 'drop' }
  | { readonly kind: 'stall'; readonly on: boolean }
  | { readonly kind: 'compact' }
  | { readonly kind: 'expire' }
  /** From here on lists leave this name's pod out, beginning with one that is asked for now; `undefined`: no more. */
  | { readonly kind: 'omit'; readonly name: number | undefined }
  | { readonly kind: 'outage'; readonly on: boolean }
  | {
      readonly kind: 'fail'
      readonly on: 'list' | 'watch'
      readonly status: 410 | 429 | 500 | 503
      readonly count: number
    }
  | { readonly kind: 'duplicate'; readonly on: boolean }
  | { readonly kind: 'reorder'; readonly on: boolean }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'wait'; readonly ms: number }

/** What the API server held after one write, as far as it matters: who may be answered for which address. */
interface Truth {
  readonly version: number
  /** Address to the uids of the pods that hold it. */
  readonly holders: ReadonlyMap<string, readonly string[]>
}

export interface History {
  apply(step: Step): Promise<void>
  /** Ends every fault, gives the feed time to come to rest, and compares the registry with the model. */
  quiesce(): Promise<void>
  close(): Promise<void>
}

export interface HistoryOptions {
  /** Whether the API server is asked about single addresses. */
  readonly confirm: boolean | 'where the node contradicts'
  /** Whether the registry sees the node's interfaces: then nobody is answered as who is not behind the address. */
  readonly evidence: boolean
}

// Few of each, so that they meet often.
export const NAMES = 3
export const ADDRESSES = 3
const NODE = 'node-1'

const addressOf = (index: number): string => `10.0.0.${index + 1}`
const ALL = Array.from({ length: ADDRESSES }, (_, index) => addressOf(index))

/** The model, in the plainest words there are: who holds an address in this state of the API server. */
function holdersIn(pods: readonly KubernetesObject[]): Map<string, string[]> {
  const holders = new Map<string, string[]>()
  for (const pod of pods) {
    const { spec, status, metadata } = pod as unknown as {
      spec: { hostNetwork?: boolean }
      status: { phase: string; podIP?: string }
      metadata: { uid: string }
    }
    if (spec.hostNetwork === true || status.phase === 'Succeeded' || status.phase === 'Failed') continue
    if (status.podIP === undefined) continue
    holders.set(status.podIP, [...(holders.get(status.podIP) ?? []), metadata.uid])
  }
  return holders
}

const isAtNode = (pod: KubernetesObject, address: string): boolean => {
  const { spec, status } = pod as unknown as { spec: { hostNetwork?: boolean }; status: { podIP?: string } }
  return spec.hostNetwork === true && status.podIP === address
}

/** Begins a history: an API server, and a registry that follows it with the real feeds, on one clock that is moved. */
export async function beginHistory(seed: number, options: HistoryOptions): Promise<History> {
  const clock = createFakeClock(undefined, { settle: 'instant' })
  const random = createSeededRandom(seed)
  const server = createFakeApiServer({ clock, historyLimit: 40, bookmarkEveryMs: 10_000 })
  const connection = server.connection()
  const node = createModelNode()
  /** How many interfaces there were when the registry learned of the pod's address; a direct answer's, by address. */
  const learned = new Map<string, number>()
  const learnedDirectly = new Map<string, { readonly uids: string; readonly made: number }>()
  let behindSince = 0
  const truths: Truth[] = []
  /** The uids whose deletion the registry was told. */
  const gone = new Set<string>()
  /** How often a list left something out. */
  let omissions = 0
  let omissionsBefore = 0
  /** The registry's last list left something out: what it says of who else holds an address is no better than that. */
  let isPartial = false
  /** Addresses whose last direct answer left something out. */
  const partly = new Set<string>()
  /** Every write up to here has been told to the registry (by an event, a bookmark or a list). */
  let told = 0
  const toldAlone = new Set<number>()
  /** The version of the API server when it last answered about one address. */
  const directly = new Map<string, number>()
  const writes: number[] = []
  const remember = (): void => {
    truths.push({ version: Number(server.resourceVersion), holders: holdersIn(server.list('Pod')) })
  }
  remember()
  server.subscribe(({ object }) => {
    if (object.kind !== 'Pod') return
    writes.push(Number(object.metadata.resourceVersion))
    remember()
  })
  const common = { connection, clock, random, annotationKeys: [], silenceMs: 25_000, watchMs: 60_000 }
  const ask = createAddressConfirmation({ connection, annotationKeys: [], node: NODE })
  const registry = createRegistry({
    pods: observed(
      createPodFeed({ ...common, node: NODE, pageSize: 2 }),
      (event) => {
        if (event.kind === 'snapshot') {
          isPartial = omissions > omissionsBefore
          omissionsBefore = omissions
        }
        if (!('version' in event) || event.version === undefined) return
        const version = Number(event.version)
        toldAlone.add(version)
        // A list and a bookmark speak for everything before them; an event speaks for itself.
        if (event.kind === 'snapshot' || event.kind === 'progress') told = Math.max(told, version)
      },
      (event) => {
        if (event.kind === 'delete') gone.add(event.item.uid)
      },
    ),
    namespaces: createNamespaceFeed(common),
    ...(options.confirm !== false && {
      confirm: async (address, signal) => {
        const before = omissions
        const { made } = node
        const answer = await ask(address, signal)
        const uids = answer.pods.map(({ uid }) => uid).join()
        if (learnedDirectly.get(address)?.uids !== uids) learnedDirectly.set(address, { uids, made })
        if (omissions > before) partly.add(address)
        else partly.delete(address)
        directly.set(address, Number(answer.version))
        return answer
      },
    }),
    settings: { confirmWhenBehind: options.confirm === true },
    ...(options.evidence && { attachments: node.attachments }),
    clock,
  })
  registry.onChange((change) => {
    if (change.kind === 'bound') learned.set(change.pod.uid, node.made)
    if (change.kind === 'gone') learned.delete(change.pod.uid)
  })
  registry.start()
  await clock.advance(0)

  return {
    async apply(step) {
      if (step.kind === 'omit') omit(step.name)
      else if (step.kind === 'kubelet-behind') {
        if (step.on && !node.isBehind) behindSince = clock.monotonic()
        if (options.evidence) node.isBehind = step.on
      } else perform(step, server, node, clock.now())
      // A kubelet that is behind for longer than a minute is more than is promised.
      const until = clock.monotonic() + (step.kind === 'wait' ? step.ms : 1)
      if (node.isBehind && until - behindSince > 40_000) node.isBehind = false
      await clock.advance(step.kind === 'wait' ? step.ms : 1)
      await check(registry, false)
    },
    async quiesce() {
      server.faults.clear()
      node.isBehind = false
      await clock.advance(120_000)
      if (isPartial) {
        server.faults.expireWatches()
        await clock.advance(120_000)
      }
      if (options.evidence) {
        // A sandbox that was made anew is believed after a minute, by an answer that somebody waits for.
        await check(registry, false)
        await clock.advance(61_000)
        await check(registry, false)
        await clock.advance(1000)
      }
      await check(registry, true)
    },
    async close() {
      await registry.close()
      await server.close()
      await clock.advance(0)
      if (clock.pending > 0 || server.watches > 0) throw new Error('something was left behind')
    },
  }

  function omit(name: number | undefined): void {
    server.faults.leaveOut =
      name === undefined
        ? undefined
        : ({ kind, metadata }) => {
            const isOmitted = kind === 'Pod' && metadata.name === `p${name}`
            if (isOmitted) omissions += 1
            return isOmitted
          }
    server.faults.expireWatches()
  }

  async function check(followed: PodRegistry, isQuiet: boolean): Promise<void> {
    for (const address of ALL) {
      const lookup = followed.lookup(ip(address))
      judge(address, lookup)
      if (isQuiet) settled(address, lookup)
    }
    if (options.confirm === false) return
    for (const address of ALL) {
      const deadline = clock.monotonic() + 1
      const signal = new AbortController().signal
      // Judged in the moment of the answer: a moment later it may be told that things have changed.
      const judged = followed
        .waitFor(ip(address), { deadline, signal })
        .then((lookup) => judge(address, lookup))
        .catch((error: unknown) => error)
      await clock.advance(1)
      const error = await judged
      if (error !== undefined) throw error
    }
  }

  /**
   * No foreign identity. Where the registry was told everything up to some write and nothing after it, it has to say
   * what the API server held then. Where a stream out of order withholds a write, the pod that is named has at least
   * to have held the address at some moment since: the withheld write may be its rival's. So may what a list left out.
   * And whose deletion was told is never answered again, whatever came late, twice or from a list.
   */
  function judge(address: string, lookup: Lookup): void {
    if (lookup.kind !== 'found') return
    const { uid } = lookup.pod
    if (options.evidence) judgeByInterface(address, uid)
    if (gone.has(uid)) throw new Error(`${address} was answered as ${uid}, who is known to be deleted`)
    const firstUntold = writes.find((version) => version > told && !toldAlone.has(version))
    const isInOrder = firstUntold === undefined || Math.max(told, ...toldAlone) < firstUntold
    const reached = truths.findLastIndex(({ version }) => firstUntold === undefined || version < firstUntold)
    const newest = directly.get(address)
    const isWhole = !isPartial && !partly.has(address)
    const isRight =
      isInOrder && isWhole
        ? truths.slice(reached).some(({ version, holders }, index) => {
            const isDirect = newest !== undefined && version >= newest
            return (index === 0 || isDirect) && holders.get(address)?.join() === uid
          })
        : truths.slice(reached).some(({ holders }) => holders.get(address)?.includes(uid))
    if (!isRight) throw new Error(`${address} was answered as ${uid}, who does not hold it`)
  }

  /**
   * Nobody is answered as a pod that is not behind the address, whatever the watch and the kubelet keep back. But for
   * one case: the registry learned of the pod only when another was at the address already.
   */
  function judgeByInterface(address: string, uid: string): void {
    const holder = node.holderOf(address)
    if (holder === undefined || holder.uid === uid) return
    const learnedAt = learned.get(uid) ?? learnedDirectly.get(address)?.made ?? 0
    if (learnedAt < holder.made)
      throw new Error(`${address} was answered as ${uid}, and ${holder.uid} is there`)
  }

  /** At rest the registry says exactly what the model says. */
  function settled(address: string, lookup: Lookup): void {
    const holders = truths.at(-1)?.holders.get(address) ?? []
    const isNode = server.list('Pod').some((pod) => isAtNode(pod, address))
    const nobody = isNode ? 'node' : 'unknown'
    const expected = holders.length === 0 ? nobody : holders.length === 1 ? holders[0] : 'ambiguous'
    const actual = lookup.kind === 'found' ? lookup.pod.uid : lookup.kind
    // Without the API server's word a new sandbox is believed only where its time says so.
    if (options.evidence && options.confirm === false && actual === 'in-doubt') return
    if (actual !== expected) throw new Error(`at rest ${address} is ${actual}, and should be ${expected}`)
  }
}

function observed(
  feed: Feed<PodIdentity>,
  onEvent: (event: FeedEvent<PodIdentity>) => void,
  onApplied: (event: FeedEvent<PodIdentity>) => void,
): Feed<PodIdentity> {
  return {
    async *events(signal) {
      for await (const event of feed.events(signal)) {
        onEvent(event)
        yield event
        onApplied(event)
      }
    },
  }
}

type Performed = Exclude<Step, { kind: 'omit' | 'kubelet-behind' }>

/** Things happen on the node first; then the kubelet tells of them. */
function perform(step: Performed, server: FakeApiServer, node: ModelNode, now: number): void {
  const { faults } = server
  switch (step.kind) {
    case 'create':
      return create(server, node, now, step)
    case 'recreate':
      remove(server, node, step.name)
      return create(server, node, now, { ...step, hostNetwork: false })
    case 'move': {
      const pod = podNamed(server, step.name)
      if (pod === undefined) return
      // A pod whose end is not told yet moves no more.
      if (holdsAddress(pod) && !node.has(uidOf(pod))) return
      node.detach(uidOf(pod))
      if (holdsAddress(pod)) node.attach(uidOf(pod), addressOf(step.address))
      return change(server, node, pod, (status) => ({
        ...status,
        ...statusAt(addressOf(step.address), now, isTimed(step.name)),
      }))
    }
    case 'resandbox': {
      const pod = podNamed(server, step.name)
      const address = pod && holdsAddress(pod) ? statusOf(pod).podIP : undefined
      if (pod === undefined || address === undefined || !node.has(uidOf(pod))) return
      node.detach(uidOf(pod))
      node.attach(uidOf(pod), address)
      return change(server, node, pod, (status) => ({
        ...status,
        ...statusAt(address, now, isTimed(step.name)),
      }))
    }
    case 'finish': {
      const pod = podNamed(server, step.name)
      if (pod === undefined) return
      node.detach(uidOf(pod))
      return change(server, node, pod, (status) => ({ ...status, phase: step.phase }))
    }
    case 'terminate': {
      const pod = podNamed(server, step.name)
      if (pod === undefined) return
      server.apply({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:10:00Z' } })
      return
    }
    case 'delete':
      return remove(server, node, step.name)
    case 'drop':
      return faults.dropWatches()
    case 'stall':
      faults.stallWatches = step.on
      return
    case 'compact':
      return faults.compact()
    case 'expire':
      return faults.expireWatches()
    case 'outage':
      faults.outage = step.on
      if (step.on) faults.dropWatches()
      return
    case 'fail':
      return faults.fail({ status: step.status, on: step.on, count: step.count, resource: 'pods' })
    case 'duplicate':
      faults.duplicateEvents = step.on
      return
    case 'reorder':
      faults.reorderEvents = step.on
      return
    case 'slow':
      faults.slowListMs = step.ms
      return
    case 'wait':
      return
    default:
      step satisfies never
  }
}

/** The scheduler's pod has no address yet; the kubelet tells it when the CNI has made the interface. */
function create(
  server: FakeApiServer,
  node: ModelNode,
  now: number,
  { name, address, hostNetwork }: { name: number; address: number; hostNetwork: boolean },
): void {
  if (podNamed(server, name) !== undefined) return
  const uid = node.nextUid()
  if (!hostNetwork) node.attach(uid, addressOf(address))
  const status = { phase: 'Running', ...statusAt(addressOf(address), now, isTimed(name)) }
  const pod = server.apply({
    kind: 'Pod',
    metadata: { name: `p${name}`, namespace: 'default', uid },
    spec: { nodeName: NODE, ...(hostNetwork && { hostNetwork }) },
    status: node.isBehind ? { phase: 'Pending' } : status,
  })
  if (node.isBehind) change(server, node, pod, () => status)
}

function remove(server: FakeApiServer, node: ModelNode, name: number): void {
  const pod = podNamed(server, name)
  if (pod === undefined) return
  node.detach(uidOf(pod))
  node.tell(() => {
    if (podNamed(server, name)?.metadata.uid === uidOf(pod)) server.delete('Pod', 'default', `p${name}`)
  })
}

function change(
  server: FakeApiServer,
  node: ModelNode,
  pod: KubernetesObject,
  edit: (status: object) => object,
): void {
  node.tell(() => {
    const now = server.get('Pod', 'default', pod.metadata.name)
    if (now?.metadata.uid === uidOf(pod)) server.apply({ ...now, status: edit(statusOf(now)) })
  })
}

const podNamed = (server: FakeApiServer, name: number): KubernetesObject | undefined =>
  server.get('Pod', 'default', `p${name}`)

const uidOf = ({ metadata }: KubernetesObject): string => metadata.uid ?? ''

const statusOf = (pod: KubernetesObject) => pod['status'] as { phase: string; podIP?: string }

const holdsAddress = (pod: KubernetesObject): boolean =>
  (pod['spec'] as { hostNetwork?: boolean }).hostNetwork !== true && statusOf(pod).phase === 'Running'

/** One pod is told of by a kubelet too old to say since when its sandbox has its network. */
const isTimed = (name: number): boolean => name > 0

/** Times are cut to the second, as Kubernetes writes them. */
const statusAt = (podIP: string, now: number, isTimed: boolean) => ({
  podIP,
  podIPs: [{ ip: podIP }],
  conditions: !isTimed
    ? []
    : [
        {
          type: 'PodReadyToStartContainers',
          status: 'True',
          lastTransitionTime: `${new Date(now).toISOString().slice(0, 19)}Z`,
        },
      ],
})
