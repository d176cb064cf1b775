import type { BaseArn, RoleArn } from '@kube2iam-ts/core'
import { createBoundedCache } from './bounded-cache.ts'
import type { RolePattern } from './role-pattern.ts'

/** The patterns of one annotation or rule. */
export interface PatternSet {
  /** The first pattern that matches the role. */
  find(role: RoleArn): RolePattern | undefined
  /** Whether one of them needs the base ARN. */
  readonly hasShort: boolean
}

const REMEMBERED_ROLES = 64

/** Answers for the roles asked last are remembered: pods ask for the same few again and again. */
export function createPatternSet(patterns: readonly RolePattern[], base: BaseArn | undefined): PatternSet {
  const answers = createBoundedCache<string, { readonly match: RolePattern | undefined }>(REMEMBERED_ROLES)
  return {
    hasShort: patterns.some(({ short }) => short),
    find: (role) =>
      answers.get(role.text, () => ({ match: patterns.find((pattern) => pattern.matches(role, base)) }))
        .match,
  }
}
