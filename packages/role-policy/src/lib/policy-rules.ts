import type { BaseArn } from '@kube2iam-ts/core'
import { compileGlob } from './glob.ts'
import type { Matcher } from './pattern-engine.ts'
import { createPatternSet, type PatternSet } from './pattern-set.ts'
import { policyInvalid } from './policy-invalid.ts'
import { parseGlobPattern } from './role-pattern.ts'
import type { PolicyRule } from './settings.ts'
import { isDuration, isExternalId, isPolicyArn } from './sts-limits.ts'

/** A rule of the configuration file, ready to be looked at. */
export interface CompiledRule {
  readonly name: string
  readonly mode: 'audit' | 'enforce'
  readonly namespaces: readonly Matcher[]
  readonly serviceAccounts: readonly Matcher[]
  /** `undefined`: any role. */
  readonly allowedRoles: PatternSet | undefined
  readonly rule: PolicyRule
}

/** Compiles rules; throws `POLICY_INVALID` that says where and what. */
export function compileRules(
  rules: readonly PolicyRule[],
  base: BaseArn | undefined,
): readonly CompiledRule[] {
  return rules.map((rule, index) => {
    const path = `rules[${index}]`
    checkValues(rule, path)
    return {
      name: rule.name ?? `rule ${index + 1}`,
      mode: rule.mode ?? 'enforce',
      namespaces: compileNames(rule.namespaces, `${path}.namespaces`),
      serviceAccounts: compileNames(rule.serviceAccounts, `${path}.serviceAccounts`),
      allowedRoles: compileRoles(rule.allowedRoles, `${path}.allowedRoles`, base),
      rule,
    }
  })
}

function checkValues(rule: PolicyRule, path: string): void {
  const { maxDurationSeconds, externalId } = rule
  if (maxDurationSeconds !== undefined && !isDuration(maxDurationSeconds)) {
    throw policyInvalid(
      `${path}.maxDurationSeconds`,
      `${maxDurationSeconds} is not a whole number of 900-43200`,
    )
  }
  if (externalId !== undefined && !isExternalId(externalId)) {
    throw policyInvalid(`${path}.externalId`, 'it is not 2-1224 letters, digits or any of +=,.@:/-_')
  }
  for (const [index, arn] of (rule.policyArns ?? []).entries()) {
    if (!isPolicyArn(arn)) throw policyInvalid(`${path}.policyArns[${index}]`, `"${arn}" is no policy ARN`)
  }
}

/** Kubernetes names have no upper case and no other signs: a glob that has them is a mistake that would match nothing. */
function compileNames(globs: readonly string[] = ['*'], path: string): readonly Matcher[] {
  return globs.map((glob, index) => {
    if (/^[a-z0-9.*-]+$/.test(glob)) return compileGlob(glob)
    throw policyInvalid(`${path}[${index}]`, `"${glob}" is no name of Kubernetes with "*" for any characters`)
  })
}

function compileRoles(
  texts: readonly string[] | undefined,
  path: string,
  base: BaseArn | undefined,
): PatternSet | undefined {
  if (texts === undefined) return undefined
  const patterns = texts.flatMap((text, index) => {
    const parsed = parseGlobPattern(text)
    if (parsed.kind === 'pattern') return parsed.patterns
    throw policyInvalid(`${path}[${index}]`, `"${text}" cannot be used: ${parsed.why}`)
  })
  return createPatternSet(patterns, base)
}
