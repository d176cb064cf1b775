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
import { filesBelow, holdsObjects, isFolder } from '../scenario/folder.ts'
import { loadScenario } from '../scenario/load.ts'
import { ProblemsError } from '../scenario/problem.ts'
import { expandPath, readText } from '../scenario/read-files.ts'
import { readAgentPlan } from '../simulation/agent-settings.ts'
import { UsageError } from '../usage-error.ts'

export interface CheckSources {
  /** Manifests: paths, patterns or folders. */
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
  /** The organization of the accounts, for trust policies that ask for it. */
  readonly organizationId: string | undefined
}

export interface CheckInputs {
  readonly objects: readonly KubeObject[]
  readonly policy: Policy
  readonly judge: StsJudge | undefined
  readonly nodeRole: RoleArn | undefined
  /** What the agent is told about `--namespace-restrictions`. */
  readonly namespaceRestrictions: 'off' | 'audit' | 'enforce'
  /** Files of folders that hold no Kubernetes object. */
  readonly leftOut: readonly string[]
}

const LARGEST = 256 * 1024 * 1024

/** Reads everything that a check needs; throws `ProblemsError`. */
export async function readCheckInputs(sources: CheckSources): Promise<CheckInputs> {
  if (sources.manifests.length === 0 && sources.scenario === undefined) {
    throw new UsageError('Name manifests, a folder, or a scenario with --scenario.')
  }
  if (sources.iam.length > 0 && sources.nodeRole === undefined && sources.scenario === undefined) {
    throw new UsageError(
      '--iam needs --node-role: trust policies are judged for the role that the nodes have, as arn:aws:iam::…:role/….',
    )
  }
  const scenario = sources.scenario === undefined ? undefined : loadScenario(sources.scenario)
  const leftOut: string[] = []
  const objects = [
    ...(scenario?.objects ?? []),
    ...manifestFiles(sources.manifests, leftOut).flatMap((file) =>
      parseManifests(readText(file, LARGEST), file),
    ),
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
    places: scenario?.agent.places ?? new Map(),
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
  const judge =
    roles.length === 0 || nodeRole === undefined
      ? undefined
      : createStsJudge({
          roles,
          nodeRole,
          organizationId: sources.organizationId ?? scenario?.aws.organizationId,
          region: settings.region ?? scenario?.aws.region,
          now: Date.now,
        })
  const { namespaceRestrictions } = settings
  return { objects, policy, judge, nodeRole, namespaceRestrictions, leftOut }
}

/** Of a folder, the files with Kubernetes objects: other YAML lies beside manifests in every repository. */
function manifestFiles(named: readonly string[], leftOut: string[]): readonly string[] {
  return named.flatMap((name) => {
    if (!isFolder(name)) return filesOf([name])
    const found = filesBelow(name, ['yaml', 'yml', 'json'])
    const held = found.filter((file) => holdsObjects(file))
    leftOut.push(...found.filter((file) => !held.includes(file)))
    if (held.length > 0) return held
    throw new ProblemsError([
      { file: name, line: 1, column: 1, path: '', message: 'no file with a Kubernetes object is there' },
    ])
  })
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
