import type { Credentials, IpAddress, RoleArn } from '@kube2iam-ts/core'

/** The pod behind an address, as far as tokens need to know it. */
export interface Caller {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** `metadata.creationTimestamp` (whole seconds of the API server's clock). */
  readonly createdAt: number
  /** When the registry bound the address to this pod (milliseconds of the agent's clock). */
  readonly boundAt: number
  /** Since when it has its network, as the kubelet tells (whole seconds); `undefined` where it does not. */
  readonly sandboxAt?: number | undefined
}

/**
 * Why nothing is answered. The emulator's fault table alone turns these into a status and a fixed body.
 * `requested` and `pod` fill the one template that names them (row 69) and the event; they are never free text.
 */
export type RefusalCode =
  /** No pod is known at the address, after waiting for one. */
  | 'pod-unknown'
  /** Two live pods claim the address. */
  | 'pod-ambiguous'
  | 'pod-in-doubt'
  /** The registry is not synced, or too stale to bind a new address. */
  | 'not-ready'
  | 'no-role'
  /** The address is the node's: which of its host-network pods asks, nobody can tell. */
  | 'host-network'
  /** Another role than the pod's own was asked for. */
  | 'role-mismatch'
  | 'namespace-denied'
  | 'annotation-invalid'
  /** STS refuses for good. */
  | 'sts-denied'
  /** No valid session can be had just now. */
  | 'sts-unavailable'
  /** Too many requests wait. */
  | 'overloaded'

export interface Refused {
  readonly kind: 'refused'
  readonly code: RefusalCode
  readonly role: string | undefined
  /** `namespace/name`. */
  readonly pod: string | undefined
}

export type RoleAnswer = { readonly kind: 'role'; readonly role: RoleArn; readonly caller: Caller } | Refused

/**
 * The session is alive, by whoever knows STS's time: SDKs extend a dead session instead of dropping it. The emulator
 * cannot check that, because all it has is the node's wall clock: one that is ahead would refuse every session.
 */
export type CredentialsAnswer =
  | {
      readonly kind: 'credentials'
      readonly role: RoleArn
      readonly credentials: Credentials
      readonly caller: Caller
    }
  | Refused

export type CallerAnswer =
  | { readonly kind: 'pod'; readonly caller: Caller }
  /** Not a pod, but in a range that settings allow to read plain metadata. Never gets credentials. */
  | { readonly kind: 'listed' }
  | { readonly kind: 'unknown' }

/** How long and for whom an answer may be waited for. */
export interface Patience {
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal
  /** `Clock.monotonic` milliseconds; the service answers by then. */
  readonly deadline: number
}

/** What the emulator needs of the rest of the agent. Refusals are values; a rejection is a bug. */
export interface CredentialService {
  /** Who holds the address, as known this moment. */
  callerAt(address: IpAddress): CallerAnswer
  /** The same, waiting for a pod to appear at an unknown address. */
  waitForCaller(address: IpAddress, patience: Patience): Promise<CallerAnswer>
  roleFor(address: IpAddress, patience: Patience): Promise<RoleAnswer>
  /** `requested`: the decoded role segment; `undefined` asks for the pod's own role. */
  credentialsFor(
    address: IpAddress,
    requested: string | undefined,
    patience: Patience,
  ): Promise<CredentialsAnswer>
  /** The container-credentials protocol: the identity is the pod in the verified token. */
  credentialsForToken(
    token: string,
    address: IpAddress,
    patience: Patience,
  ): Promise<
    CredentialsAnswer | { readonly kind: 'refused'; readonly code: 'token-invalid' | 'token-mismatch' }
  >
}
