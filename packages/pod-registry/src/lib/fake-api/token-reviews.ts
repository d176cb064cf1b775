/** Whose a token is, as the server's TokenReview says. */
export interface TokenOwner {
  /** `system:serviceaccount:NAMESPACE:NAME` of a service account's token. */
  readonly username: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly audiences?: readonly string[]
  /** `authentication.kubernetes.io/pod-name`, `…/pod-uid` and so on. */
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** The tokens that `TokenReview` knows; unknown ones are not authenticated. */
export interface TokenReviews {
  add(token: string, owner: TokenOwner): void
  remove(token: string): void
  owner(token: string): TokenOwner | undefined
  review(body: unknown): object
}

export function createTokenReviews(): TokenReviews {
  const owners = new Map<string, TokenOwner>()
  return {
    add: (token, owner) => void owners.set(token, owner),
    remove: (token) => void owners.delete(token),
    owner: (token) => owners.get(token),
    review(body) {
      const spec = (body as { spec?: { token?: string; audiences?: string[] } }).spec ?? {}
      const owner = owners.get(spec.token ?? '')
      const audiences = (owner?.audiences ?? spec.audiences ?? []).filter(
        (a) => spec.audiences?.includes(a) ?? true,
      )
      const wanted = (spec.audiences ?? []).length > 0
      const status =
        owner === undefined
          ? { user: {}, error: '[invalid bearer token, token lookup failed]' }
          : wanted && audiences.length === 0
            ? { user: {}, error: '[invalid bearer token, token audiences do not match]' }
            : {
                authenticated: true,
                user: {
                  username: owner.username,
                  uid: owner.uid,
                  groups: owner.groups ?? [],
                  extra: owner.extra ?? {},
                },
                audiences,
              }
      return {
        kind: 'TokenReview',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { creationTimestamp: null },
        spec,
        status,
      }
    },
  }
}
