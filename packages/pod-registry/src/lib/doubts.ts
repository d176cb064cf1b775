import type { Clock, IpAddress, PodIdentity, Report } from '@kube2iam-ts/core'
import type { Attachments } from './attachments.ts'
import type { Confirmed } from './confirmations.ts'
import { createInterfaceAges, type Sighting } from './interface-ages.ts'
import type { Binding } from './pod-index.ts'
import type { RegistryEvent } from './registry-events.ts'

export interface DoubtsOptions {
  attachments: Attachments
  clock: Clock
  report: Report<RegistryEvent>
}

/** What the node says of a pod's being at an address. */
export type Testimony =
  | { readonly kind: 'none' }
  | { readonly kind: 'for' }
  | { readonly kind: 'against'; readonly interface: string }

/** Whom the node's own interfaces contradict. */
export interface Doubts {
  /** Looks at the interfaces: a pod of which there is news now has its own among them. */
  look(): number
  /** Whether the pod can be who is at the address. */
  testimony(address: IpAddress, binding: Pick<Binding, 'pod' | 'mark'>): Testimony
  /** The API server has answered about the address. */
  answered(address: IpAddress, answer: Confirmed): void
  /** Who claims the address has changed: whatever was in doubt about it is another question now. */
  forget(address: IpAddress): void
}

/**
 * How long an address has to come by the same interface before the API server's word that it is the old pod's is
 * believed: longer than a kubelet takes to report a new pod's address.
 */
const BELIEVED_AFTER_MS = 60_000
/** Kubernetes writes times without fractions. */
const SECOND_MS = 1000
const MOST_REMEMBERED = 4096
const MOST_OF_ONE = 4

interface Doubt {
  readonly pod: PodIdentity
  readonly interface: string
  /** `Clock.monotonic`. */
  readonly since: number
  /** The API server's word counts more than the interface. */
  isBelieved: boolean
}

const NONE: Testimony = Object.freeze({ kind: 'none' })
const FOR: Testimony = Object.freeze({ kind: 'for' })

/**
 * A CNI makes a pod's interface before the kubelet can report its address. So an interface that is younger than the news
 * of a pod is another pod's (or the same pod's after its sandbox died, which the kubelet then says).
 */
export function createDoubts({ attachments, clock, report }: DoubtsOptions): Doubts {
  const ages = createInterfaceAges(attachments, clock)
  /** Nearly always one to an address: the API server's direct answer may name a second pod that is no better. */
  const doubts = new Map<IpAddress, readonly Doubt[]>()

  function testimony(address: IpAddress, { pod, mark }: Pick<Binding, 'pod' | 'mark'>): Testimony {
    const known = doubts.get(address)?.find((doubt) => doubt.pod.uid === pod.uid)
    const id = attachments.interfaceOf(address)
    const sighting = id === undefined ? undefined : ages.sightingOf(id)
    if (id === undefined || sighting === undefined) {
      // What was in doubt stays so while the node is at a loss: nothing has spoken for the pod.
      return known === undefined || known.isBelieved ? NONE : { kind: 'against', interface: known.interface }
    }
    if (isOlder(sighting, mark, pod.sandboxSeconds)) {
      if (known !== undefined) end(address, known, 'interface')
      return FOR
    }
    if (known?.interface === id && known.isBelieved) return FOR
    if (known?.interface !== id) begin(address, pod, id, known)
    return { kind: 'against', interface: id }
  }

  function begin(address: IpAddress, pod: PodIdentity, id: string, known: Doubt | undefined): void {
    const others = doubts.get(address)?.filter((doubt) => doubt !== known) ?? []
    const oldest = doubts.size >= MOST_REMEMBERED ? doubts.keys().next().value : undefined
    if (oldest !== undefined) doubts.delete(oldest)
    const doubt = { pod, interface: id, since: clock.monotonic(), isBelieved: false }
    doubts.set(address, [...others, doubt].slice(-MOST_OF_ONE))
    if (known === undefined || known.isBelieved)
      report({ kind: 'address-in-doubt', address, pod, interface: id })
  }

  function end(address: IpAddress, doubt: Doubt, by: 'interface' | 'time' | 'change'): void {
    if (by === 'interface') {
      const left = doubts.get(address)?.filter((other) => other !== doubt) ?? []
      if (left.length === 0) doubts.delete(address)
      else doubts.set(address, left)
    }
    if (doubt.isBelieved) return
    const { pod } = doubt
    report({ kind: 'address-out-of-doubt', address, pod, by, afterMs: clock.monotonic() - doubt.since })
  }

  return {
    look: ages.look,
    testimony,
    answered(address, { pods, askedAt }) {
      const [pod, other] = pods
      if (pod === undefined || other !== undefined) return
      for (const doubt of doubts.get(address) ?? []) {
        if (doubt.pod.uid !== pod.uid || doubt.isBelieved) continue
        if (askedAt < doubt.since + BELIEVED_AFTER_MS) continue
        end(address, doubt, 'time')
        doubt.isBelieved = true
      }
    },
    forget(address) {
      const ended = doubts.get(address) ?? []
      doubts.delete(address)
      for (const doubt of ended) end(address, doubt, 'change')
    },
  }
}

/** Whether the interface may have been there before the pod could be known to be behind it. */
function isOlder({ order, absentAt }: Sighting, mark: number, sandboxSeconds: number | undefined): boolean {
  if (absentAt !== undefined && sandboxSeconds !== undefined) {
    const sandboxAt = sandboxSeconds * SECOND_MS
    // The sandbox had its network at a time when this interface was not there: however late the news of it came.
    if (absentAt >= sandboxAt + SECOND_MS) return false
    // The sandbox is as new as the interface: it was made anew since the address was bound.
    if (sandboxAt > absentAt) return true
  }
  return order <= mark
}
