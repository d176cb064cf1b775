import type { Secret } from './secret.ts'

/** One issued STS session. The secrets are redacted by their type. */
export interface Credentials {
  /** Not a secret: CloudTrail and audit lines carry it. */
  readonly accessKeyId: string
  readonly secretAccessKey: Secret
  readonly sessionToken: Secret
  readonly issuedAt: Date
  /** As STS said it, corrected for nothing. */
  readonly expiration: Date
}
