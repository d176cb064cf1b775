import { createHash } from 'node:crypto'
import { type Clock, isCoded } from '@kube2iam-ts/core'
import type { Patience } from '@kube2iam-ts/metadata-emulator'
import type { Lookup, PodRegistry } from '@kube2iam-ts/pod-registry'
import type { TokenReviewer } from '@kube2iam-ts/pod-registry/kubernetes'

/** Who a service-account token says that its bearer is. */
export type BearerIdentity =
  /** `lookup`: the pod as the registry has it now; `unknown` where the pod is not (or no longer) one of this node. */
  | { readonly kind: 'pod'; readonly uid: string; lookup(): Lookup }
  | { readonly kind: 'invalid' }
  /** The API server could not be asked in time. */
  | { readonly kind: 'unavailable' }

export interface TokenIdentities {
  identify(token: string, patience: Patience): Promise<BearerIdentity>
}

export interface TokenIdentitiesOptions {
  readonly reviewer: TokenReviewer
  readonly audience: string
  readonly registry: Pick<PodRegistry, 'pods' | 'namespace' | 'serviceAccount'>
  readonly clock: Clock
}

/** A verified token is not asked about again for so long, and never beyond its own end. */
const REMEMBER_MS = 300_000
/** A refused one is not asked about again for so long, so that a loop of refusals costs the API server little. */
const REFUSED_MS = 10_000
const MOST_REMEMBERED = 1_000
/** Longer ones are not sent on: real tokens have about 1,200 characters. */
const LONGEST_TOKEN = 16_384

interface Verdict {
  readonly uid: string | undefined
  readonly until: number
}

/**
 * Verifies tokens by the TokenReview API, which knows their signature, audience, end, and whether the pod that they
 * are bound to still exists. The identity is the pod's UID in the answer; a token bound to no pod is nobody's.
 */
export function createTokenIdentities(options: TokenIdentitiesOptions): TokenIdentities {
  const { reviewer, audience, registry, clock } = options
  const verdicts = new Map<string, Verdict>()
  const asking = new Map<string, Promise<Verdict | undefined>>()

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

  async function review(token: string): Promise<Verdict> {
    const identity = await reviewer.review(token, audience)
    const uid = identity.kind === 'service-account' ? identity.pod?.uid : undefined
    const until = clock.now() + (uid === undefined ? REFUSED_MS : REMEMBER_MS)
    return { uid, until: Math.min(until, endOf(token) ?? until) }
  }

  /** One review for however many ask with the same token at once; it outlives those who gave up. */
  async function verdictOf(token: string): Promise<Verdict | undefined> {
    const key = createHash('sha256').update(token).digest('base64url')
    const known = verdicts.get(key)
    if (known !== undefined && known.until > clock.now()) return known
    let asked = asking.get(key)
    if (asked === undefined) {
      asked = review(token)
        .then((verdict) => {
          if (verdicts.size >= MOST_REMEMBERED) verdicts.clear()
          verdicts.set(key, verdict)
          return verdict
        })
        .catch((error: unknown) => {
          if (isCoded(error) || error instanceof SyntaxError) return undefined
          throw error
        })
        .finally(() => asking.delete(key))
      asking.set(key, asked)
    }
    return asked
  }

  return {
    async identify(token, { deadline, signal }) {
      if (token.length > LONGEST_TOKEN || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return { kind: 'invalid' }
      const verdict = await orUndefinedAt(clock, deadline, signal, verdictOf(token))
      if (verdict === undefined) return { kind: 'unavailable' }
      const { uid } = verdict
      return uid === undefined ? { kind: 'invalid' } : { kind: 'pod', uid, lookup: () => lookup(uid) }
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

/** When the token ends by its own claim. It is verified by then: this only makes the memory shorter. */
function endOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    const exp = (claims as { exp?: unknown }).exp
    return typeof exp === 'number' ? exp * 1_000 : undefined
  } catch {
    return undefined
  }
}
