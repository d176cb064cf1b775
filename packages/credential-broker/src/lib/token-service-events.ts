/** What happens between the broker and STS that an operator should know; no pod ever sees it. No secrets. */
export type TokenServiceEvent =
  /** Who the agent is, as STS sees it: the answer to GetCallerIdentity when it warms up. */
  | { readonly kind: 'node-identified'; readonly arn: string; readonly account: string }
  | { readonly kind: 'warm-up-failed'; readonly code: string; readonly message: string }
  /** The agent's own credentials were refused, and newer ones were to be had. */
  | { readonly kind: 'node-credentials-replaced'; readonly refused: string; readonly accessKeyId: string }
  /** The node's clock is so wrong that signatures are dated by STS's. */
  | { readonly kind: 'clock-corrected'; readonly skewMs: number }
  /** It is not any more. */
  | { readonly kind: 'clock-right-again' }
  /** The trust policy lacks sts:TagSession; the session was had without tags. */
  | {
      readonly kind: 'tags-left-out'
      readonly role: string
      readonly sessionName: string
      readonly message: string
    }
  | {
      readonly kind: 'duration-clamped'
      readonly role: string
      readonly askedSeconds: number
      readonly givenSeconds: number
      /** `role-chaining`: one hour for any role that is assumed from a role. `role-maximum`: its MaxSessionDuration. */
      readonly because: 'role-chaining' | 'role-maximum'
    }
  /** The account has switched STS off in a region; another one is asked. */
  | {
      readonly kind: 'region-replaced'
      readonly region: string
      readonly by: string
      readonly message: string
    }
