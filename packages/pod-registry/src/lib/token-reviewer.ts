import type { ApiConnection } from './api-connection.ts'
import { readJson } from './read-json.ts'

/** Whose a service account token is, as the API server says. */
export type TokenIdentity =
  | {
      readonly kind: 'service-account'
      readonly namespace: string
      readonly serviceAccount: string
      /** The pod that the token is bound to; `undefined` of a token that is bound to none. */
      readonly pod: { readonly name: string; readonly uid: string } | undefined
      readonly audiences: readonly string[]
    }
  /** Not authenticated, for another audience, or not a service account's. */
  | { readonly kind: 'rejected'; readonly reason: string }

/** Asks the API server whose a token is. Never logs or keeps it. */
export interface TokenReviewer {
  review(token: string, audience: string, signal?: AbortSignal): Promise<TokenIdentity>
}

interface ReviewStatus {
  readonly authenticated?: boolean
  readonly error?: string
  readonly audiences?: readonly string[]
  readonly user?: {
    readonly username?: string
    readonly extra?: Readonly<Record<string, readonly string[] | undefined>>
  }
}

const USERNAME = /^system:serviceaccount:([^:]+):([^:]+)$/
const POD_NAME = 'authentication.kubernetes.io/pod-name'
const POD_UID = 'authentication.kubernetes.io/pod-uid'

/** Needs `create` of `tokenreviews.authentication.k8s.io`. */
export function createTokenReviewer({ connection }: { connection: ApiConnection }): TokenReviewer {
  return {
    async review(token, audience, signal) {
      const answer = await readJson(connection, {
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token, audiences: [audience] },
        }),
        ...(signal && { signal }),
      })
      return identityOf((answer as { status?: ReviewStatus }).status ?? {}, audience)
    },
  }
}

function identityOf(
  { authenticated, error, audiences = [], user }: ReviewStatus,
  audience: string,
): TokenIdentity {
  if (authenticated !== true) return { kind: 'rejected', reason: error ?? 'the token is not authenticated' }
  // An API server that knows nothing of audiences returns none, and then the token is not known to be for us.
  if (!audiences.includes(audience)) return { kind: 'rejected', reason: 'the token is for another audience' }
  const [, namespace, serviceAccount] = USERNAME.exec(user?.username ?? '') ?? []
  if (namespace === undefined || serviceAccount === undefined) {
    return { kind: 'rejected', reason: 'the token is not a service account’s' }
  }
  const name = user?.extra?.[POD_NAME]?.[0]
  const uid = user?.extra?.[POD_UID]?.[0]
  const pod = name === undefined || uid === undefined ? undefined : { name, uid }
  return { kind: 'service-account', namespace, serviceAccount, pod, audiences }
}
