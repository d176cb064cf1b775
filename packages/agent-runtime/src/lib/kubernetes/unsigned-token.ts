/** A service-account token in the form that kubelet projects it, for tests: whoever asks about it decides what it is worth. */
export function unsignedToken(claims: {
  readonly uid: string
  readonly audience?: string | readonly string[]
  /** Seconds since the epoch; the end of this century unless given. */
  readonly exp?: number
  readonly id?: number
}): string {
  const { uid, audience = 'pods.eks.amazonaws.com', exp = 4_102_444_799, id = 0 } = claims
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = {
    aud: audience,
    exp,
    jti: String(id),
    'kubernetes.io': { namespace: 'default', pod: { uid } },
  }
  return `${part({ alg: 'none' })}.${part(body)}.${part('none')}`
}
