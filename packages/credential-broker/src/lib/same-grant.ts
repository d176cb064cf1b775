import type { Grant } from '@kube2iam-ts/core'

/**
 * Whether two grants have the same key without hashing them. True only if they have; false also for lists that are
 * merely in another order, whose key must then be made.
 */
export function isSameGrant(a: Grant, b: Grant): boolean {
  return (
    a === b ||
    (a.sessionName === b.sessionName &&
      a.role.text === b.role.text &&
      a.durationSeconds === b.durationSeconds &&
      a.externalId === b.externalId &&
      a.sourceIdentity === b.sourceIdentity &&
      a.policy === b.policy &&
      a.region === b.region &&
      isSameList(a.transitiveTagKeys, b.transitiveTagKeys) &&
      isSameList(a.policyArns, b.policyArns) &&
      isSameRecord(a.tags, b.tags))
  )
}

/** A field that is added to grants must be compared above: the compiler asks for it here. */
type Compared =
  | 'role'
  | 'sessionName'
  | 'durationSeconds'
  | 'externalId'
  | 'sourceIdentity'
  | 'tags'
  | 'transitiveTagKeys'
  | 'policyArns'
  | 'policy'
  | 'region'
true satisfies Exclude<keyof Grant, Compared> extends never ? true : never

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((item, index) => item === b[index]))

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  if (a === b) return true
  let names = 0
  for (const name in a) {
    if (a[name] !== b[name]) return false
    names += 1
  }
  for (const _name in b) names -= 1
  return names === 0
}
