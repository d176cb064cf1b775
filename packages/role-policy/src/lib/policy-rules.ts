import { CodedError } from '@kube2iam-ts/core'
import { compileGlob } from './glob.ts'
import type { Matcher } from './pattern-engine.ts'
import { parseGlobPattern, type RolePattern } from './role-pattern.ts'
import type { PolicyRule } from './settings.ts'

/** A rule of the configuration file, ready to be looked at. */
export interface CompiledRule {
  readonly name: string
  readonly mode: 'audit' | 'enforce'
  readonly namespaces: readonly Matcher[]
  readonly serviceAccounts: readonly Matcher[]
  /** `undefined`: any role. */
  readonly allowedRoles: readonly RolePattern[] | undefined
  readonly rule: PolicyRule
}

/** Compiles rules; throws `POLICY_INVALID` that names the rule and what is wrong with it. */
export function compileRules(rules: readonly PolicyRule[]): readonly CompiledRule[] {
  return rules.map((rule, index) => {
    const name = rule.name ?? `rule ${index + 1}`
    return {
      name,
      mode: rule.mode ?? 'enforce',
      namespaces: (rule.namespaces ?? ['*']).map(compileGlob),
      serviceAccounts: (rule.serviceAccounts ?? ['*']).map(compileGlob),
      allowedRoles: rule.allowedRoles?.flatMap((text) => {
        const parsed = parseGlobPattern(text)
        if (parsed.kind === 'pattern') return parsed.patterns
        throw new CodedError(
          'POLICY_INVALID',
          `policy rule "${name}": allowed role "${text}" cannot be used: ${parsed.why}`,
        )
      }),
      rule,
    }
  })
}
