import { grantKey, type PodIdentity, type Report } from '@kube2iam-ts/core'
import type { Broker } from '@kube2iam-ts/credential-broker'
import { holdsAddresses, isFinished, type PodRegistry, type RegistryChange } from '@kube2iam-ts/pod-registry'
import type { Granted, Policy } from '@kube2iam-ts/role-policy'
import type { Changes } from './changes.ts'
import { type CredentialServiceEvent, ownerOf } from './credential-service.ts'

export interface SessionKeeperOptions {
  readonly registry: Pick<PodRegistry, 'pods' | 'namespace' | 'serviceAccount' | 'onChange'>
  readonly policy: () => Policy
  readonly broker: Pick<Broker, 'want' | 'release'>
  readonly changes: Changes
  readonly report: Report<CredentialServiceEvent>
  /** Whether sessions are fetched before a pod asks. */
  readonly prefetch: boolean
  /** Whether pods may prove by a token who they are: the only way for those that share the node's address. */
  readonly tokens: boolean
  /** The pod is gone. */
  readonly onGone: (pod: PodIdentity) => void
}

export interface SessionKeeper {
  /** The policy is another one: every pod is decided about again. */
  policyChanged(): void
  close(): void
}

/**
 * Tells the broker, as pods come and go and change, which sessions are wanted: fetched ahead once policy has granted
 * them and never before, dropped at once when the pod goes or the grant is withdrawn.
 */
export function createSessionKeeper(options: SessionKeeperOptions): SessionKeeper {
  const { registry, policy, broker, changes, report, prefetch, tokens, onGone } = options
  /** The key of the grant that each pod was last seen to have. */
  const granted = new Map<string, string>()
  /** Namespaces, and service accounts as namespace/name, whose pods have to be looked at again. */
  const changed = new Set<string>()

  function evaluate(pod: PodIdentity): void {
    if (isFinished(pod)) return
    const identifiedBy = holdsAddresses(pod) ? 'address' : 'token'
    if (identifiedBy === 'token' && !tokens) return
    const namespace = registry.namespace(pod.namespace)
    const serviceAccount = registry.serviceAccount(pod.namespace, pod.serviceAccount)
    const decision = policy().decide({ pod, namespace, serviceAccount, requested: undefined, identifiedBy })
    switch (decision.kind) {
      case 'granted': {
        const key = grantKey(decision.grant)
        const before = granted.get(pod.uid)
        if (before === key) return
        granted.set(pod.uid, key)
        if (prefetch && isLikelyToAsk(pod, decision)) broker.want(ownerOf(pod), decision.grant)
        else if (before !== undefined) broker.release(pod.uid)
        return
      }
      case 'denied':
        withdraw(pod)
        // A pod without a role is the common case, and nobody asked for one.
        if (decision.code !== 'no-role') report({ kind: 'denied', pod, denial: decision, by: 'prefetch' })
        return
      case 'wait':
        // Whatever it waits for notifies, or is an event below.
        if (decision.for === 'pattern-engine')
          policy()
            .prepare()
            .then(again, () => {})
        return
      default:
        return decision satisfies never
    }
  }

  /** A snapshot changes many namespaces at once: the pods are walked through once for all of them. */
  function soon(owner: string): void {
    if (changed.size === 0) queueMicrotask(evaluateChanged)
    changed.add(owner)
  }

  function evaluateChanged(): void {
    for (const pod of registry.pods()) {
      if (changed.has(pod.namespace) || changed.has(`${pod.namespace}/${pod.serviceAccount}`)) evaluate(pod)
    }
    changed.clear()
    changes.notify()
  }

  function withdraw(pod: PodIdentity): void {
    if (granted.delete(pod.uid)) broker.release(pod.uid)
  }

  function again(): void {
    for (const pod of registry.pods()) evaluate(pod)
    changes.notify()
  }

  function onChange(change: RegistryChange): void {
    switch (change.kind) {
      case 'bound':
      case 'changed':
      case 'seen':
        evaluate(change.pod)
        break
      case 'gone':
        granted.delete(change.pod.uid)
        // Also where nothing was granted ahead: the pod may have been granted something when it asked.
        broker.release(change.pod.uid)
        onGone(change.pod)
        break
      case 'namespace':
        soon(change.name)
        break
      case 'service-account':
        soon(`${change.namespace}/${change.name}`)
        break
      default:
        change satisfies never
    }
    changes.notify()
  }

  const stop = registry.onChange(onChange)
  return { policyChanged: again, close: stop }
}

/**
 * A node's own daemons are host-network pods that know nothing of roles: where only a default names one for them, a
 * session is fetched when they ask.
 */
const isLikelyToAsk = ({ hostNetwork }: PodIdentity, { source }: Granted): boolean =>
  !hostNetwork || source === 'pod' || source === 'service-account'
