import type { PolicyRule } from '@kube2iam-ts/role-policy'
import * as v from 'valibot'
import type { SettingsProblem } from './problem.ts'

/** A rule as the file has it. What the values mean is checked by the policy that is made of them. */
const RULE = v.strictObject({
  name: v.optional(v.string()),
  namespaces: v.optional(v.array(v.string())),
  serviceAccounts: v.optional(v.array(v.string())),
  allowedRoles: v.optional(v.array(v.string())),
  requireExternalId: v.optional(v.boolean()),
  externalId: v.optional(v.string()),
  maxDurationSeconds: v.optional(v.number()),
  policyArns: v.optional(v.array(v.string())),
  mode: v.optional(v.picklist(['audit', 'enforce'])),
}) satisfies v.GenericSchema<unknown, PolicyRule>

const KEYS = Object.keys(RULE.entries).join(', ')

/** The `rules` of a file, or what is wrong with them and where. */
export function readRules(
  rules: unknown,
  file: string,
): { readonly rules: readonly PolicyRule[]; readonly problems: readonly SettingsProblem[] } {
  if (!Array.isArray(rules))
    return { rules: [], problems: [wrong('rules', 'is not a list', 'write each rule after a dash', file)] }
  const parsed = rules.map((rule: unknown) => v.safeParse(RULE, rule))
  return {
    rules: parsed.flatMap((one) => (one.success ? [one.output] : [])),
    problems: parsed.flatMap(({ issues = [] }, index) =>
      issues.map((issue) => {
        const path = [`rules[${index}]`, ...(issue.path ?? []).map(({ key }) => String(key))].join('.')
        return issue.expected === 'never'
          ? wrong(path, 'is no part of a rule', `rules have ${KEYS}`, file)
          : wrong(
              path,
              `is ${issue.received}`,
              `give ${issue.expected ?? 'what the documentation says'}`,
              file,
            )
      }),
    ),
  }
}

const wrong = (path: string, what: string, right: string, where: string): SettingsProblem => ({
  flag: '--config',
  wrong: `"${path}" ${what}`,
  right,
  where,
})
