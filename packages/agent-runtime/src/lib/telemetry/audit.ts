/** Who got which session, for as long as the records are kept. Never a secret: the access key ID is what CloudTrail shows. */
export interface AuditRecord {
  /** RFC 3339. */
  readonly time: string
  readonly action: 'issued' | 'renewed' | 'denied' | 'sts-denied'
  readonly pod: string
  readonly uid: string
  readonly serviceAccount: string
  readonly role: string | undefined
  readonly sessionName?: string
  readonly assumedRoleArn?: string
  readonly accessKeyId?: string
  readonly expiration?: string
  readonly cluster?: string
  /**
   * Why STS was asked (`request`, `renewal`, `prefetch`); `shared`: it was not, the pod was given a session that was
   * there already; for a denial its code and sentence.
   */
  readonly reason: string
}

/** Takes a record and returns at once. */
export type AuditSink = (record: AuditRecord) => void
