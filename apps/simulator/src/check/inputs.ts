import { policySettings } from '@kube2iam-ts/agent-runtime'
import { isCoded, parseRoleArn, type RoleArn } from '@kube2iam-ts/core'
import type { Policy } from '@kube2iam-ts/role-policy'
import { createPolicy } from '@kube2iam-ts/role-policy'
import { daemonSetArgs, FIRST_NODE } from '../aws/daemonset-args.ts'
import type { RoleDefinition } from '../aws/roles.ts'
import { parseIamDocument } from '../aws/roles.ts'
import { createStsJudge, type StsJudge } from '../aws/sts-judgement.ts'
import { parseManifests } from '../cluster/manifest-file.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { expandPath, loadScenario, readText } from '../scenario/load.ts'
import { ProblemsError } from '../scenario/problem.ts'
import { readAgentPlan } from '../simulation/agent-settings.ts'

export interface CheckSources {
  /** Manifests: paths or patterns. */
  readonly manifests: readonly string[]
  /** IAM documents: paths or patterns. */
  readonly iam: readonly string[]
  /** A manifest with the agent's DaemonSet, for its arguments. */
  readonly daemonset: string | undefined
  /** The agent's arguments, after those of the DaemonSet. */
  readonly args: readonly string[]
  /** A scenario, for all of these at once. */
  readonly scenario: string | undefined
  /** The role of the nodes: who asks STS. */
  readonly nodeRole: string | undefined
}

export interface CheckInputs {
  readonly objects: readonly KubeObject[]
  readonly policy: Policy
  readonly judge: StsJudge | undefined
  readonly nodeRole: RoleArn | undefined
}

const LARGEST = 256 * 1024 * 1024

/** Reads everything that a check needs; throws `ProblemsError`. */
export async function readCheckInputs(sources: CheckSources): Promise<CheckInputs> {
  const scenario = sources.scenario === undefined ? undefined : loadScenario(sources.scenario)
  const objects = [
    ...(scenario?.objects ?? []),
    ...filesOf(sources.manifests).flatMap((file) => parseManifests(readText(file, LARGEST), file)),
  ]
  const roles: readonly RoleDefinition[] = [
    ...(scenario?.aws.roles ?? []),
    ...filesOf(sources.iam).flatMap((file) => parseIamDocument(readText(file, LARGEST), file)),
  ]
  const nodeRole = nodeRoleOf(sources.nodeRole, scenario?.aws.nodeRole)
  const plan = {
    args: [...(scenario?.agent.args ?? []), ...daemonArgs(sources.daemonset), ...sources.args],
    rules: scenario?.agent.rules ?? [],
    env: scenario?.agent.env ?? {},
  }
  const { settings, rules } = readAgentPlan(plan, sources.scenario ?? sources.daemonset ?? 'the arguments')
  const policy = createPolicy(
    policySettings(settings, rules, {
      base: scenario?.aws.base ?? baseOf(nodeRole),
      role: nodeRole?.name,
      pending: false,
    }),
  )
  await policy.prepare()
  const judge = roles.length === 0 || nodeRole === undefined ? undefined : createStsJudge(roles, nodeRole)
  return { objects, policy, judge, nodeRole }
}

function filesOf(patterns: readonly string[]): readonly string[] {
  return patterns.flatMap((pattern) => {
    const files = expandPath(pattern, '.')
    if (files.length === 0) {
      throw new ProblemsError([
        { file: pattern, line: 1, column: 1, path: '', message: 'there is no such file' },
      ])
    }
    return files
  })
}

function daemonArgs(file: string | undefined): readonly string[] {
  if (file === undefined) return []
  const found = daemonSetArgs(parseManifests(readText(file, LARGEST), file), FIRST_NODE)
  if (found !== undefined) return found.args
  throw new ProblemsError([
    { file, line: 1, column: 1, path: '', message: 'it holds no DaemonSet with a container of the agent' },
  ])
}

function nodeRoleOf(text: string | undefined, known: RoleArn | undefined): RoleArn | undefined {
  if (text === undefined) return known
  try {
    return parseRoleArn(text)
  } catch (error) {
    if (!isCoded(error)) throw error
    throw new ProblemsError([{ file: '--node-role', line: 1, column: 1, path: '', message: error.message }])
  }
}

const baseOf = (role: RoleArn | undefined) =>
  role === undefined
    ? undefined
    : {
        partition: role.partition,
        account: role.account,
        path: '/',
        text: `arn:${role.partition}:iam::${role.account}:role/`,
      }
