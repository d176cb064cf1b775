/** What a pod of the demonstration is told to do; sent once, as its first message. */
export interface PodErrand {
  /** The metadata endpoint that pods of its node reach at 169.254.169.254. */
  readonly metadataEndpoint: string
  readonly stsEndpoint: string
  /** The pod's own address: every request of the process leaves from it. */
  readonly address: string
  readonly region: string
  readonly ask: PodAsk
}

/** `sdk`: what an application does. `document`: one role's document by name, with an IMDSv2 token, as an attacker would. */
export type PodAsk =
  | { readonly kind: 'sdk' }
  | { readonly kind: 'document'; readonly role: string }
  | { readonly kind: 'path'; readonly path: string }

export type PodMessage =
  /** Loaded, and about to send its first request. */
  { readonly kind: 'asking' } | { readonly kind: 'done'; readonly result: PodResult }

export type PodResult = {
  /** From the first request to the usable credentials or the refusal. */
  readonly tookMs: number
} & (
  | {
      readonly outcome: 'credentials'
      /** What `GetCallerIdentity` said about the credentials. */
      readonly callerArn: string
      readonly account: string
      readonly accessKeyId: string
      readonly expiration: string
    }
  | {
      readonly outcome: 'refused'
      readonly status: number | undefined
      /** The service's `Code`, where the body had one. */
      readonly code: string | undefined
      readonly message: string
    }
  | { readonly outcome: 'answered'; readonly status: number; readonly body: string }
)
