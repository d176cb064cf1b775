import { hash } from 'node:crypto'
import type { RoleArn } from './role-arn.ts'

/**
 * Everything that defines an STS session. Two grants that differ anywhere here are different sessions and never
 * share a credential.
 */
export interface Grant {
  readonly role: RoleArn
  /** STS RoleSessionName: 2-64 of [\w+=,.@-]. */
  readonly sessionName: string
  readonly durationSeconds: number
  readonly externalId: string | undefined
  readonly sourceIdentity: string | undefined
  /** STS session tags. */
  readonly tags: Readonly<Record<string, string>>
  readonly transitiveTagKeys: readonly string[]
  /** Managed session policies. */
  readonly policyArns: readonly string[]
  /** Inline session policy (JSON text). */
  readonly policy: string | undefined
  /** The region whose STS endpoint issues the session; `undefined` where the broker's own applies. */
  readonly region: string | undefined
}

/** A digest of every field: equal exactly for grants that are equal, whatever order tags and lists are in. */
export function grantKey(grant: Grant): string {
  const fields: { [Field in keyof Grant]: unknown } = {
    role: grant.role.text,
    sessionName: grant.sessionName,
    durationSeconds: grant.durationSeconds,
    externalId: grant.externalId ?? null,
    sourceIdentity: grant.sourceIdentity ?? null,
    tags: Object.entries(grant.tags).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    transitiveTagKeys: grant.transitiveTagKeys.toSorted(),
    policyArns: grant.policyArns.toSorted(),
    policy: grant.policy ?? null,
    region: grant.region ?? null,
  }
  // The literal's own order is the order of the text.
  return hash('sha256', JSON.stringify(fields), 'base64url')
}
