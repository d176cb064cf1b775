const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A service-account token as the kubelet projects it into a pod, unsigned: the API server knows it by its text. */
export const podToken = (namespace: string, uid: string): string =>
  [
    part({ alg: 'none' }),
    part({
      aud: ['pods.eks.amazonaws.com'],
      // The end of this century: scenarios move the clock.
      exp: 4_102_444_799,
      'kubernetes.io': { namespace, pod: { uid } },
    }),
    part('unsigned'),
  ].join('.')
