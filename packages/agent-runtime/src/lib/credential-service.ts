import {
  type Grant,
  grantKey,
  type IpAddress,
  isCoded,
  type PodIdentity,
  type Report,
} from '@kube2iam-ts/core'
import type { Broker, BrokerAnswer, SessionOwner } from '@kube2iam-ts/credential-broker'
import type {
  Caller,
  CallerAnswer,
  CredentialService,
  CredentialsAnswer,
  Patience,
  RefusalCode,
  Refused,
} from '@kube2iam-ts/metadata-emulator'
import type { Lookup, PodRegistry } from '@kube2iam-ts/pod-registry'
import type { DecisionInput, Denial, Granted, Policy } from '@kube2iam-ts/role-policy'
import type { Changes } from './changes.ts'
import type { TokenIdentities } from './kubernetes/token-identities.ts'
import { refusalOfDenial, refusalOfLookup, refusalOfSts } from './refusals.ts'

export type CredentialServiceEvent =
  /** `by`: a request of the pod, or the agent looking ahead when the pod appeared. */
  | {
      readonly kind: 'denied'
      readonly pod: PodIdentity
      readonly denial: Denial
      readonly by: 'request' | 'prefetch'
    }
  | { readonly kind: 'would-deny'; readonly pod: PodIdentity; readonly denial: Denial }
  /** The session is not what settings or annotations wish for (a duration that was cut, a name that was shortened). */
  | { readonly kind: 'warned'; readonly pod: PodIdentity; readonly message: string }
  | (StsTrouble & { readonly kind: 'sts-refused' })
  | (StsTrouble & { readonly kind: 'sts-unavailable' })
  | { readonly kind: 'pod-ambiguous'; readonly pods: readonly PodIdentity[] }
  /** The address comes by an interface that is younger than the pod that is known there. */
  | { readonly kind: 'pod-in-doubt'; readonly pod: PodIdentity; readonly interface: string }
  | { readonly kind: 'pod-unknown'; readonly code: RefusalCode }
  /** The address was another pod's by the time that there was an answer. */
  | { readonly kind: 'moved'; readonly pod: PodIdentity }

interface StsTrouble {
  readonly pod: PodIdentity
  readonly role: string
  readonly code: string
  readonly message: string
}

export interface CredentialServiceOptions {
  readonly registry: Pick<PodRegistry, 'lookup' | 'waitFor' | 'isInDoubt'>
  /** Asked each time, because discovering the base ARN makes a new policy. */
  readonly policy: () => Policy
  readonly broker: Pick<Broker, 'credentials'>
  /** Told whenever something becomes known that decisions wait for. */
  readonly changes: Changes
  readonly report: Report<CredentialServiceEvent>
  /** May an address that is no pod's read plain metadata? */
  readonly listed: (address: IpAddress) => boolean
  /** Who the bearer of a service-account token is; absent unless the container-credentials protocol is served. */
  readonly tokens?: TokenIdentities | undefined
}

type Found = Lookup & { readonly kind: 'found' }
/** What is asked for, and what proves who asks. */
interface Asked {
  readonly requested: string | undefined
  readonly identifiedBy: 'address' | 'token'
}
type Settled = { readonly kind: 'granted'; readonly found: Found; readonly granted: Granted } | Refused

/**
 * The one place where registry, policy and broker meet: address → pod → grant → credentials, each step taking the
 * last one's value, so that nothing can be decided for one pod and answered to another.
 */
export function createCredentialService(options: CredentialServiceOptions): CredentialService {
  const { registry, policy, broker, changes, report, listed, tokens } = options

  /** Who the address is, waiting only where nobody is known there yet or the API server has to be asked. */
  async function known(address: IpAddress, patience: Patience): Promise<Lookup> {
    const now = registry.lookup(address)
    if (now.kind === 'found' && !registry.isInDoubt(address)) return now
    try {
      return await registry.waitFor(address, patience)
    } catch (error) {
      // The client hung up: what it is answered reaches nobody.
      if (isCoded(error, 'ABORTED')) return registry.lookup(address)
      throw error
    }
  }

  /** Decides, and decides again each time something becomes known, until there is a decision or no patience left. */
  async function decide(
    first: Found,
    again: () => Lookup,
    request: Asked,
    patience: Patience,
  ): Promise<Settled> {
    let found = first
    for (;;) {
      const { pod } = found
      const current = policy()
      const decision = current.decide(inputOf(found, request))
      switch (decision.kind) {
        case 'granted':
          for (const denial of decision.wouldDeny) report({ kind: 'would-deny', pod, denial })
          for (const message of decision.warnings) report({ kind: 'warned', pod, message })
          return { kind: 'granted', found, granted: decision }
        case 'denied':
          report({ kind: 'denied', pod, denial: decision, by: 'request' })
          return refused(refusalOfDenial(decision.code), pod, decision.role)
        case 'wait':
          break
        default:
          return decision satisfies never
      }
      // Where the engine cannot be loaded, the deadline ends the wait.
      if (decision.for === 'pattern-engine')
        current.prepare().then(
          () => changes.notify(),
          () => {},
        )
      if (!(await changes.next(patience))) return refused('not-ready', pod)
      const now = again()
      if (now.kind !== 'found') return refusedLookup(now)
      if (now.pod.uid !== pod.uid) return moved(pod)
      found = now
    }
  }

  /** Decides and fetches the session; and both again where, meanwhile, the pod may no longer have what was granted. */
  async function issue(
    first: Found,
    again: () => Lookup,
    request: Asked,
    patience: Patience,
  ): Promise<CredentialsAnswer> {
    let found = first
    for (;;) {
      const settled = await decide(found, again, request, patience)
      if (settled.kind === 'refused') return settled
      const { pod } = settled.found
      const { role, grant } = settled.granted
      const answer = await broker.credentials(grant, {
        owner: ownerOf(pod),
        deadline: patience.deadline,
        get signal() {
          return patience.signal
        },
      })
      // The call may have taken a while: the address may be another pod's by now.
      const now = again()
      if (now.kind !== 'found' || now.pod.uid !== pod.uid) return moved(pod)
      if (isStillGranted(now, request, grant)) return answered(answer, now, role)
      found = now
    }
  }

  /** Nothing is worked out where nothing has changed: the policy remembers its decisions by their records. */
  function isStillGranted(found: Found, request: Asked, grant: Grant): boolean {
    const decision = policy().decide(inputOf(found, request))
    if (decision.kind !== 'granted') return false
    return decision.grant === grant || grantKey(decision.grant) === grantKey(grant)
  }

  function answered(answer: BrokerAnswer, found: Found, role: Granted['role']): CredentialsAnswer {
    const { pod } = found
    switch (answer.kind) {
      case 'credentials':
        return { kind: 'credentials', role, credentials: answer.credentials, caller: callerOf(found) }
      case 'denied':
        report({ kind: 'sts-refused', pod, role: role.text, code: answer.code, message: answer.message })
        return refused('sts-denied', pod, role.text)
      case 'unavailable':
        report({ kind: 'sts-unavailable', pod, role: role.text, code: answer.code, message: answer.message })
        return refused(refusalOfSts(answer.code), pod, role.text)
      default:
        return answer satisfies never
    }
  }

  function refusedLookup(lookup: Exclude<Lookup, Found>): Refused {
    const code = refusalOfLookup(lookup)
    if (lookup.kind === 'ambiguous') report({ kind: 'pod-ambiguous', pods: lookup.pods })
    else if (lookup.kind === 'in-doubt') report({ ...lookup, kind: 'pod-in-doubt' })
    // Known well enough: nobody is missing there.
    else if (lookup.kind !== 'node') report({ kind: 'pod-unknown', code })
    return { kind: 'refused', code, role: undefined, pod: undefined }
  }

  function moved(pod: PodIdentity): Refused {
    report({ kind: 'moved', pod })
    return { kind: 'refused', code: 'pod-unknown', role: undefined, pod: undefined }
  }

  const callerAnswer = (lookup: Lookup, address: IpAddress): CallerAnswer => {
    if (lookup.kind === 'found') return { kind: 'pod', caller: callerOf(lookup) }
    return listed(address) ? { kind: 'listed' } : { kind: 'unknown' }
  }

  /** Nobody for certain, where the API server would rather be asked: only `waitForCaller` can do that. */
  const callerAt = (address: IpAddress): CallerAnswer => {
    const lookup = registry.lookup(address)
    if (lookup.kind === 'found' && registry.isInDoubt(address)) return { kind: 'unknown' }
    return callerAnswer(lookup, address)
  }

  return {
    callerAt,

    async waitForCaller(address, patience) {
      const now = callerAt(address)
      return now.kind === 'unknown' ? callerAnswer(await known(address, patience), address) : now
    },

    async roleFor(address, patience) {
      const found = await known(address, patience)
      if (found.kind !== 'found') return refusedLookup(found)
      const request = { requested: undefined, identifiedBy: 'address' } as const
      const settled = await decide(found, () => registry.lookup(address), request, patience)
      if (settled.kind === 'refused') return settled
      return { kind: 'role', role: settled.granted.role, caller: callerOf(settled.found) }
    },

    async credentialsFor(address, requested, patience) {
      const found = await known(address, patience)
      if (found.kind !== 'found') return refusedLookup(found)
      const request = { requested, identifiedBy: 'address' } as const
      return issue(found, () => registry.lookup(address), request, patience)
    },

    async credentialsForToken(token, address, patience) {
      const identity = (await tokens?.identify(token, patience, address)) ?? { kind: 'invalid' }
      if (identity.kind === 'invalid') return { kind: 'refused', code: 'token-invalid' }
      if (identity.kind === 'unavailable')
        return { kind: 'refused', code: 'not-ready', role: undefined, pod: undefined }
      const again = (): Lookup => identity.lookup()
      const lookup = again()
      if (lookup.kind !== 'found') return refusedLookup(lookup)
      // Where the address is a pod's, both proofs must name the same one. Where it is none, the token alone counts: it
      // is how host-network pods are told apart, whose address is the node's.
      const here = registry.lookup(address)
      // Of an address in doubt it is known whose it hardly is: that pod's token may have been stolen. Any other pod's is
      // proof enough, and nobody is waited for.
      const isThisInDoubt = (who: Lookup): boolean =>
        who.kind === 'in-doubt' && who.pod.uid === lookup.pod.uid
      const isSure = here.kind === 'found' ? !registry.isInDoubt(address) : !isThisInDoubt(here)
      const holder = isSure ? here : await known(address, patience)
      if (holder.kind === 'in-doubt' && isThisInDoubt(holder)) return refusedLookup(holder)
      const holders = holder.kind === 'found' ? [holder.pod] : holder.kind === 'ambiguous' ? holder.pods : []
      if (holders.length > 0 && !holders.some(({ uid }) => uid === lookup.pod.uid)) {
        return { kind: 'refused', code: 'token-mismatch' }
      }
      return issue(lookup, again, { requested: undefined, identifiedBy: 'token' }, patience)
    },
  }
}

const inputOf = ({ pod, namespace, serviceAccount }: Found, request: Asked): DecisionInput => ({
  pod,
  namespace,
  serviceAccount,
  ...request,
})

const refused = (code: RefusalCode, pod: PodIdentity, role?: string): Refused => ({
  kind: 'refused',
  code,
  role,
  pod: `${pod.namespace}/${pod.name}`,
})

/** For whom the broker holds a session. */
export const ownerOf = ({ uid, namespace, name, serviceAccount }: PodIdentity): SessionOwner => ({
  uid,
  namespace,
  name,
  serviceAccount,
})

const callerOf = ({ pod, boundAt }: Found): Caller => ({
  uid: pod.uid,
  namespace: pod.namespace,
  name: pod.name,
  createdAt: pod.createdAt.getTime(),
  boundAt,
  sandboxAt: pod.sandboxSeconds === undefined ? undefined : pod.sandboxSeconds * 1_000,
})
