import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { explainProblems, parseSettings } from '@kube2iam-ts/agent-runtime'
import { isCoded } from '@kube2iam-ts/core'
import type { PolicyRule } from '@kube2iam-ts/role-policy'
import { parsePolicyRules } from '@kube2iam-ts/role-policy'
import type { AgentPlan } from '../scenario/load.ts'
import { ProblemsError } from '../scenario/problem.ts'

/** What an agent is told. */
export interface AgentConfiguration {
  readonly settings: AgentSettings
  readonly rules: readonly PolicyRule[]
}

/**
 * Reads an agent's arguments with the agent's own parser. `defaults` (`--flag=value`) are for what the plan does not
 * say. Throws `ProblemsError` with the line that the agent itself would print.
 */
export function readAgentPlan(
  plan: AgentPlan,
  file: string,
  defaults: readonly string[] = [],
): AgentConfiguration {
  const fail = (message: string): never => {
    throw new ProblemsError([{ file, line: 1, column: 1, path: 'agent', message }])
  }
  const environment = Object.fromEntries(
    Object.entries(plan.env).filter(([name]) => name.startsWith('KUBE2IAM_') || name.startsWith('AWS_')),
  )
  // A flag that takes a list would add up what stands before it.
  const named = new Set(plan.args.map(flagOf))
  const args = [...defaults.filter((arg) => !named.has(flagOf(arg))), ...plan.args]
  const parsed = parseSettings({ args, environment })
  if (parsed.kind === 'invalid') return fail(explainProblems(parsed.problems))
  if (parsed.kind === 'help') return fail('--help is not a setting')
  try {
    return { settings: parsed.settings, rules: parsePolicyRules(plan.rules) }
  } catch (error) {
    if (isCoded(error)) return fail(error.message)
    throw error
  }
}

const flagOf = (arg: string): string => arg.split('=')[0] ?? ''
