import type { BaseArn, RoleArn } from '@kube2iam-ts/core'
import { parseBaseArn } from '@kube2iam-ts/core'
import { parseTrustPolicy } from '@kube2iam-ts/credential-broker/testing'
import { daemonSetArgs, FIRST_NODE } from '../aws/daemonset-args.ts'
import type { RoleDefinition } from '../aws/roles.ts'
import { parseIamDocument, roleOrFail, trustPolicyOf } from '../aws/roles.ts'
import { parseManifests } from '../cluster/manifest-file.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { keyOf, namespaceObject, podObject, serviceAccountObject } from '../cluster/objects.ts'
import { readAgentPlan } from '../simulation/agent-settings.ts'
import type { AgentPlan, Place } from './agent-plan.ts'
import { flagOf } from './agent-plan.ts'
import { checkSteps } from './check-steps.ts'
import type { Problem } from './problem.ts'
import { ProblemsError } from './problem.ts'
import type { Context } from './read-files.ts'
import { collect, readNamed, readText } from './read-files.ts'
import type { AgentPart, AwsPart, ClusterPart, ScenarioFile, Step } from './scenario.ts'
import { scenarioShape } from './scenario.ts'
import { shortNamespace, shortPod } from './short-forms.ts'
import type { Position } from './yaml-source.ts'
import { parseSource } from './yaml-source.ts'

/** A scenario with everything that it names read and checked. */
export interface Scenario {
  readonly file: string
  readonly name: string
  readonly shows: string | undefined
  readonly seed: number
  readonly startAt: Date
  readonly objects: readonly KubeObject[]
  readonly aws: AwsWorld
  readonly agent: AgentPlan
  readonly invariants: NonNullable<ScenarioFile['invariants']>
  readonly steps: readonly Step[]
  /** Every file that was read: what `serve` watches. */
  readonly files: readonly string[]
}

export interface AwsWorld {
  readonly region: string
  readonly base: BaseArn
  readonly nodeRole: RoleArn
  readonly roles: readonly RoleDefinition[]
  /** The organization of the accounts; `undefined`: not told. */
  readonly organizationId: string | undefined
}

const SCENARIO_LIMITS = { maxBytes: 1024 * 1024 }
const LONGEST_RUN_MS = 400 * 86_400_000

/** Reads and checks a scenario file; throws `ProblemsError` with every problem's place. */
export function loadScenario(file: string): Scenario {
  return parseScenario(readText(file, SCENARIO_LIMITS.maxBytes), file)
}

/** The same from a text; paths in it are relative to the file's folder. */
export function parseScenario(text: string, file: string): Scenario {
  const [document, second] = parseSource(text, file, SCENARIO_LIMITS)
  if (document === undefined) {
    throw new ProblemsError([
      {
        file,
        line: 1,
        column: 1,
        path: '',
        message: 'the file is empty; `kube2iam-sim init` writes a first scenario',
      },
    ])
  }
  const problems: Problem[] = []
  if (second !== undefined) {
    problems.push({
      file,
      ...second.at,
      path: '',
      message: 'one file holds one scenario; this is a second document',
    })
  }
  const read = scenarioShape.read(document, '', { file, problems })
  if (read === undefined || problems.length > 0) throw new ProblemsError(problems)

  const context: Context = { file, problems, files: [file] }
  const aws = awsWorld(read.aws ?? {}, context)
  const objects = clusterObjects(read.cluster ?? {}, context)
  const agent = agentPlan(read.agent ?? {}, context)
  // Read here already, so that nothing runs before every file is right.
  if (problems.length === 0) {
    const top = { line: 1, column: 1 }
    collect(context, top, 'agent', () => readAgentPlan(agent, file, nodeArgs('node-1', '10.0.0.1')))
  }
  const steps = read.steps ?? []
  checkSteps({ steps, objects, base: aws.base, longestMs: LONGEST_RUN_MS }, (at, path, message) =>
    problems.push({ file, line: at.line, column: at.column, path, message }),
  )
  if (problems.length > 0) throw new ProblemsError(problems)
  return {
    file,
    name: read.name,
    shows: read.shows,
    seed: read.seed ?? 1,
    startAt: read.start ?? new Date('2026-01-01T00:00:00Z'),
    objects,
    aws,
    agent,
    invariants: read.invariants ?? {},
    steps,
    files: context.files,
  }
}

/** What every simulated agent is told before anything else. */
export const nodeArgs = (name: string, address: string): readonly string[] => [
  `--node=${name}`,
  `--host-ip=${address}`,
  '--iptables=true',
  '--interception-probe=false',
]

function awsWorld(part: AwsPart, context: Context): AwsWorld {
  const account = part.account ?? '123456789012'
  const region = part.region ?? 'eu-west-1'
  const partition = region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
  const base = parseBaseArn(`arn:${partition}:iam::${account}:role/`)
  const named = (text: string, at: Position, path: string): RoleArn =>
    roleOrFail(text, base, (message) => {
      throw new ProblemsError([{ file: context.file, ...at, path, message }])
    })
  const { value: nodeName, at: nodeAt } = part.nodeRole ?? { value: 'kube-node', at: { line: 1, column: 1 } }
  const nodeRole = named(nodeName, nodeAt, 'aws.nodeRole')
  const roles = new Map<string, RoleDefinition>()
  for (const { path, text, file, at } of readNamed(part.iam ?? [], context)) {
    const known = collect(context, at, path, () => parseIamDocument(text, file)) ?? []
    for (const role of known) roles.set(role.arn.text, role)
  }
  for (const [name, { value, at, path }] of part.roles ?? []) {
    const arn = named(name, at, path)
    const trust = parseTrustPolicy(
      value.trust === undefined ? trustPolicyOf(value, nodeRole) : value.trust.value.plain,
    )
    if (trust.kind === 'invalid') {
      const inner = trust.path === '' ? '' : `.${trust.path}`
      const where = { ...(value.trust?.at ?? at), path: `${path}.trust${inner}` }
      context.problems.push({ file: context.file, ...where, message: trust.message })
      continue
    }
    roles.set(arn.text, {
      arn,
      trustPolicy: trust.policy,
      maxSessionDurationSeconds: value.maxSessionDuration,
    })
  }
  return { region, base, nodeRole, roles: [...roles.values()], organizationId: part.orgId }
}

function clusterObjects(part: ClusterPart, context: Context): readonly KubeObject[] {
  const objects = new Map<string, KubeObject>()
  const add = (object: KubeObject): void => {
    objects.set(`${object.kind} ${keyOf(object)}`, object)
  }
  for (const { path, text, file, at } of readNamed(part.manifests ?? [], context)) {
    for (const object of collect(context, at, path, () => parseManifests(text, file)) ?? []) add(object)
  }
  for (const [name, { value }] of part.namespaces ?? []) add(namespaceObject(name, shortNamespace(value)))
  for (const [key, { value }] of part.serviceAccounts ?? []) {
    add(
      serviceAccountObject(
        key,
        Object.fromEntries([...(value.annotations ?? [])].map(([name, { value: text }]) => [name, text])),
      ),
    )
  }
  for (const [key, { value }] of part.pods ?? []) add(podObject(key, shortPod(value)))
  return withNamespaces([...objects.values()])
}

/** Namespaces that objects name exist, as they must in a cluster. */
export function withNamespaces(objects: readonly KubeObject[]): readonly KubeObject[] {
  const known = new Set(
    objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name),
  )
  const named = new Set(
    objects.flatMap(({ metadata }) => (metadata.namespace === undefined ? [] : [metadata.namespace])),
  )
  return [...[...named].filter((name) => !known.has(name)).map((name) => namespaceObject(name)), ...objects]
}

function agentPlan(part: AgentPart, context: Context): AgentPlan {
  const args: string[] = []
  const env: Record<string, string> = {}
  const places = new Map<string, Place>()
  if (part.daemonset !== undefined) {
    for (const { path, text, file, at } of readNamed([part.daemonset], context)) {
      const objects = collect(context, at, path, () => parseManifests(text, file)) ?? []
      const found = daemonSetArgs(objects, FIRST_NODE)
      if (found === undefined) {
        context.problems.push({
          file: context.file,
          ...at,
          path,
          message: `${file} holds no DaemonSet with a container of the agent`,
        })
      } else {
        args.push(...found.args)
        for (const arg of found.args) places.set(flagOf(arg), { at, path })
        Object.assign(env, found.env)
      }
    }
  }
  for (const { value, at, path } of part.args ?? []) {
    args.push(value)
    places.set(flagOf(value), { at, path })
  }
  for (const [name, { value, at, path }] of part.settings ?? []) {
    const flag = `--${name.replace(/^--/, '')}`
    args.push(`${flag}=${value}`)
    places.set(flag, { at, path })
  }
  for (const [name, { value, at, path }] of part.env ?? []) {
    env[name] = value
    places.set(name, { at, path })
  }
  if (part.rules !== undefined) places.set('rules', part.rules)
  return { args, env, rules: part.rules?.value.plain ?? [], places }
}
