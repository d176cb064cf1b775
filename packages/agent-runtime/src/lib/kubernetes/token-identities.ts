import { createHash } from 'node:crypto'
import { type Clock, type IpAddress, isCoded } from '@kube2iam-ts/core'
import type { Patience } from '@kube2iam-ts/metadata-emulator'
import type { Lookup, PodRegistry } from '@kube2iam-ts/pod-registry'
import type { TokenReviewer } from '@kube2iam-ts/pod-registry/kubernetes'
import type { Changes } from '../changes.ts'
import { createReviewSlots } from './review-slots.ts'

/** Who a service-account token says that its bearer is. */
export type BearerIdentity =
  /** `lookup`: the pod as the registry has it now; `unknown` where the pod is not (or no longer) one of this node. */
  | { readonly kind: 'pod'; readonly uid: string; lookup(): Lookup }
  | { readonly kind: 'invalid' }
  /** The API server could not be asked in time. */
  | { readonly kind: 'unavailable' }

export interface TokenIdentities {
  /** `peer`: the address that the token came from, which has its share of questions to the API server. */
  identify(token: string, patience: Patience, peer: IpAddress): Promise<BearerIdentity>
}

export interface TokenIdentitiesOptions {
  readonly reviewer: TokenReviewer
  readonly audience: string
  readonly registry: Pick<PodRegistry, 'pods' | 'namespace' | 'serviceAccount'>
  /** Told when a pod appears. */
  readonly changes: Pick<Changes, 'next'>
  readonly clock: Clock
}

/** A verified token is not asked about again for so long, and never beyond its own end. */
const REMEMBER_MS = 300_000
/** A refused one is not asked about again for so long, so that a loop of refusals costs the API server little. */
const REFUSED_MS = 10_000
const MOST_REMEMBERED = 1_000
/** A review that takes longer is given up: who waited for it is gone. */
const REVIEW_MS = 5_000
/** How wrong the node's clock may be before a token that holds is taken for one that has ended. */
const CLOCK_MS = 3_600_000
/** Longer ones are not sent on: real tokens have about 1,200 characters. */
const LONGEST_TOKEN = 16_384

/** What a token says of itself, true or not. */
interface Claims {
  readonly uid: string
  readonly audiences: readonly unknown[]
  /** Milliseconds since the epoch. */
  readonly endsAt: number
}

interface Verdict {
  /** Whether the API server says the same as the claims. */
  readonly isValid: boolean
  readonly until: number
}

/**
 * Verifies tokens by the TokenReview API, which knows their signature, audience, end, and whether the pod that they
 * are bound to still exists. The identity is the pod's UID in the answer; a token bound to no pod is nobody's.
 *
 * What a token claims itself only saves questions: one that could not be accepted whatever the API server says is
 * refused without asking, and one of a pod that is not known yet waits for it as a request by address does.
 */
export function createTokenIdentities(options: TokenIdentitiesOptions): TokenIdentities {
  const { reviewer, audience, registry, changes, clock } = options
  // Apart, so that no number of forged tokens makes one that was verified forgotten.
  const accepted = new Map<string, Verdict>()
  const refused = new Map<string, Verdict>()
  const asking = new Map<string, Promise<Verdict | undefined>>()
  const slots = createReviewSlots(clock)

  function lookup(uid: string): Lookup {
    for (const pod of registry.pods()) {
      if (pod.uid !== uid || pod.phase === 'Succeeded' || pod.phase === 'Failed') continue
      return {
        kind: 'found',
        pod,
        boundAt: pod.createdAt.getTime(),
        namespace: registry.namespace(pod.namespace),
        serviceAccount: registry.serviceAccount(pod.namespace, pod.serviceAccount),
      }
    }
    return { kind: 'unknown' }
  }

  /** Whether the pod is known, waiting for it while there is patience. */
  async function appears(uid: string, patience: Patience): Promise<boolean> {
    while (lookup(uid).kind !== 'found') if (!(await changes.next(patience))) return false
    return true
  }

  async function review(token: string, claims: Claims): Promise<Verdict | undefined> {
    const late = new AbortController()
    const cancel = clock.after(REVIEW_MS, () => late.abort())
    try {
      const identity = await reviewer.review(token, audience, late.signal)
      const uid = identity.kind === 'service-account' ? identity.pod?.uid : undefined
      const isValid = uid === claims.uid
      const now = clock.now()
      return { isValid, until: isValid ? Math.min(now + REMEMBER_MS, claims.endsAt) : now + REFUSED_MS }
    } catch (error) {
      if (late.signal.aborted || isCoded(error) || error instanceof SyntaxError) return undefined
      throw error
    } finally {
      cancel()
    }
  }

  function remembered(key: string): Verdict | undefined {
    const verdict = accepted.get(key) ?? refused.get(key)
    return verdict !== undefined && verdict.until > clock.now() ? verdict : undefined
  }

  function remember(key: string, verdict: Verdict): void {
    accepted.delete(key)
    refused.delete(key)
    // Where the node's clock is ahead, a token that holds may have ended by it: the API server is asked each time.
    if (verdict.until <= clock.now()) return
    const verdicts = verdict.isValid ? accepted : refused
    const oldest = verdicts.size >= MOST_REMEMBERED ? verdicts.keys().next().value : undefined
    if (oldest !== undefined) verdicts.delete(oldest)
    verdicts.set(key, verdict)
  }

  /** One review for however many ask with the same token at once; it outlives those who gave up. */
  async function verdictOf(
    token: string,
    claims: Claims,
    patience: Patience,
    peer: IpAddress,
  ): Promise<Verdict | undefined> {
    const key = createHash('sha256').update(token).digest('base64url')
    const known = remembered(key) ?? asking.get(key)
    if (known !== undefined) return known
    if (!(await slots.take(peer, patience))) return undefined
    const meanwhile = remembered(key) ?? asking.get(key)
    if (meanwhile !== undefined) {
      slots.release(peer)
      return meanwhile
    }
    const asked = review(token, claims)
      .then((verdict) => {
        if (verdict !== undefined) remember(key, verdict)
        return verdict
      })
      .finally(() => {
        asking.delete(key)
        slots.release(peer)
      })
    asking.set(key, asked)
    return asked
  }

  return {
    async identify(token, patience, peer) {
      const claims = claimsOf(token)
      if (claims === undefined || !claims.audiences.includes(audience)) return { kind: 'invalid' }
      if (claims.endsAt + CLOCK_MS < clock.now()) return { kind: 'invalid' }
      const { uid } = claims
      // Never looked up again: nobody has said that the claim is true.
      if (!(await appears(uid, patience))) return { kind: 'pod', uid, lookup: () => ({ kind: 'unknown' }) }
      const { deadline, signal } = patience
      const asked = verdictOf(token, claims, patience, peer)
      const verdict = await orUndefinedAt(clock, deadline, signal, asked)
      if (verdict === undefined) return { kind: 'unavailable' }
      return verdict.isValid ? { kind: 'pod', uid, lookup: () => lookup(uid) } : { kind: 'invalid' }
    },
  }
}

/** The value, or `undefined` when the deadline comes or nobody waits any more. */
async function orUndefinedAt<Value>(
  clock: Clock,
  deadline: number,
  signal: AbortSignal,
  value: Promise<Value | undefined>,
): Promise<Value | undefined> {
  const done = new AbortController()
  const late = clock
    .sleep(deadline - clock.monotonic(), AbortSignal.any([signal, done.signal]))
    .then(() => undefined)
    .catch(() => undefined)
  try {
    return await Promise.race([value, late])
  } finally {
    done.abort()
  }
}

/** `undefined` of what is no token bound to a pod (the claims of KEP-1205: `kubernetes.io.pod.uid`). */
function claimsOf(token: string): Claims | undefined {
  if (token.length > LONGEST_TOKEN || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      readonly aud?: unknown
      readonly exp?: unknown
      readonly 'kubernetes.io'?: { readonly pod?: { readonly uid?: unknown } | null } | null
    } | null
    const uid = claims?.['kubernetes.io']?.pod?.uid
    const exp = claims?.exp
    if (typeof uid !== 'string' || uid === '' || typeof exp !== 'number') return undefined
    const aud: unknown = claims?.aud
    return { uid, audiences: Array.isArray(aud) ? aud : [aud], endsAt: exp * 1_000 }
  } catch {
    return undefined
  }
}
