import type { Grant } from '@kube2iam-ts/core'

/**
 * Whether two grants have the same key without hashing them. True only if they have; false also for lists that are
 * merely in another order, whose key must then be made.
 */
export function isSameGrant(a: Grant, b: Grant): boolean {
  if (a === b) return true
  // Named one by one and checked for completeness by the compiler: a new field must not be forgotten here.
  const { role, sessionName, durationSeconds, externalId, sourceIdentity, policy, region, ...lists } = a
  const { tags, transitiveTagKeys, policyArns, ...rest } = lists
  rest satisfies Record<string, never>
  return (
    role.text === b.role.text &&
    sessionName === b.sessionName &&
    durationSeconds === b.durationSeconds &&
    externalId === b.externalId &&
    sourceIdentity === b.sourceIdentity &&
    policy === b.policy &&
    region === b.region &&
    isSameList(transitiveTagKeys, b.transitiveTagKeys) &&
    isSameList(policyArns, b.policyArns) &&
    isSameRecord(tags, b.tags)
  )
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((item, index) => item === b[index]))

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  if (a === b) return true
  const names = Object.keys(a)
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
  )
}
