import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { explainProblems, parseSettings } from '@kube2iam-ts/agent-runtime'
import { isCoded } from '@kube2iam-ts/core'
import type { PolicyRule } from '@kube2iam-ts/role-policy'
import { parsePolicyRules } from '@kube2iam-ts/role-policy'
import type { AgentPlan, Place } from '../scenario/agent-plan.ts'
import { ProblemsError } from '../scenario/problem.ts'

/** What an agent is told. */
export interface AgentConfiguration {
  readonly settings: AgentSettings
  readonly rules: readonly PolicyRule[]
}

/**
 * Reads an agent's arguments with the agent's own parser. `defaults` (`--flag=value`) are for what the plan does not
 * say. Throws `ProblemsError` with the line that the agent itself would print, at the place of the setting where it has
 * one in the file.
 */
export function readAgentPlan(
  plan: AgentPlan,
  file: string,
  defaults: readonly string[] = [],
): AgentConfiguration {
  const top: Place = { at: { line: 1, column: 1 }, path: 'agent' }
  const problemAt = ({ at, path }: Place, message: string) => ({ file, ...at, path, message })
  const fail = (message: string, place = top): never => {
    throw new ProblemsError([problemAt(place, message)])
  }
  const environment = Object.fromEntries(
    Object.entries(plan.env).filter(([name]) => name.startsWith('KUBE2IAM_') || name.startsWith('AWS_')),
  )
  // A flag that takes a list would add up what stands before it.
  const named = new Set(plan.args.map(flagOf))
  const args = [...defaults.filter((arg) => !named.has(flagOf(arg))), ...plan.args]
  const parsed = parseSettings({ args, environment })
  if (parsed.kind === 'invalid') {
    throw new ProblemsError(
      parsed.problems.map((problem) => {
        const place = plan.places.get(problem.flag) ?? plan.places.get(problem.where ?? '') ?? top
        return problemAt(place, explainProblems([problem]))
      }),
    )
  }
  if (parsed.kind === 'help') return fail('--help is not a setting')
  try {
    return { settings: parsed.settings, rules: parsePolicyRules(plan.rules) }
  } catch (error) {
    if (isCoded(error)) return fail(error.message, plan.places.get('rules'))
    throw error
  }
}

const flagOf = (arg: string): string => arg.split('=')[0] ?? ''
