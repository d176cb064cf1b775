import type { Secret } from '@kube2iam-ts/core'

/** What the agent itself signs with: the node's instance role as a rule. */
export interface NodeCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret
  readonly sessionToken: Secret | undefined
  /** `undefined`: they do not end. */
  readonly expiration: Date | undefined
}

/** Where they come from. Rejects with `NODE_CREDENTIALS_UNAVAILABLE` (retryable) or `ABORTED`. */
export interface NodeCredentialsProvider {
  /**
   * `refused`: the access key that STS has just called expired or unknown; whatever is remembered under it is not
   * to be given again if anything newer can be had.
   */
  get(options: { readonly signal: AbortSignal; readonly refused?: string }): Promise<NodeCredentials>
}

/** Credentials that never change: long-lived keys from configuration. */
export function staticNodeCredentials(credentials: NodeCredentials): NodeCredentialsProvider {
  return { get: async () => credentials }
}
