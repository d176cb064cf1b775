import type { LogFields, LogLevel } from '@kube2iam-ts/agent-runtime'
import { policySettings } from '@kube2iam-ts/agent-runtime'
import type { Random } from '@kube2iam-ts/core'
import type { FakeClock } from '@kube2iam-ts/core/testing'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import type { FakeApiServer, KubernetesObject, Manifest } from '@kube2iam-ts/pod-registry/testing'
import { createFakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import { createPolicy } from '@kube2iam-ts/role-policy'
import { createStsJudge } from '../aws/sts-judgement.ts'
import type { KubeObject } from '../cluster/objects.ts'
import {
  DEFAULT_NODE,
  digList,
  digText,
  keyOf,
  namespaceObject,
  nodeNameOf,
  nodeObject,
} from '../cluster/objects.ts'
import type { TimelineEntry, Violation } from '../output/run-result.ts'
import type { Scenario } from '../scenario/load.ts'
import { nodeArgs } from '../scenario/load.ts'
import { inOrder } from '../world/embedded-world.ts'
import { readAgentPlan } from './agent-settings.ts'
import { createFaults, type Faults } from './faults.ts'
import type { Invariants } from './invariants.ts'
import { createInvariants } from './invariants.ts'
import { pump } from './pump.ts'
import { createReasons, type Reasons } from './reasons.ts'
import { createSimulatedInstance } from './simulated-instance.ts'
import type { SimulatedNode } from './simulated-node.ts'
import { createSimulatedNode } from './simulated-node.ts'
import type { SimulatedSts } from './simulated-sts.ts'
import { createSimulatedSts } from './simulated-sts.ts'
import { StepProblem } from './step-problem.ts'
import { createTruth } from './truth.ts'

/** A cluster, STS and agents under virtual time. */
export interface Simulation {
  readonly clock: FakeClock
  readonly api: FakeApiServer
  readonly sts: SimulatedSts
  readonly nodes: ReadonlyMap<string, SimulatedNode>
  readonly faults: Faults
  readonly invariants: Invariants
  readonly reasons: Reasons
  readonly timeline: TimelineEntry[]
  readonly violations: Violation[]
  /** What a reader has to know to trust the result, each once. */
  readonly warnings: ReadonlySet<string>
  /** Since the start. */
  atMs(): number
  tell(lane: TimelineEntry['lane'], text: string): void
  /** Creates or changes an object as an administrator; a pod that is new gets a UID of its own. */
  apply(object: KubeObject): void
  pod(key: string): KubernetesObject | undefined
  nodeOf(key: string): SimulatedNode
  /** Lets time pass until it has settled. */
  pump<Value>(promise: Promise<Value>, what: string): Promise<Value>
  close(): Promise<void>
}

export async function createSimulation(scenario: Scenario, signal?: AbortSignal): Promise<Simulation> {
  const { aws, startAt, seed } = scenario
  const clock = createFakeClock(startAt, { settle: 'instant', ...(signal && { signal }) })
  const start = startAt.getTime()
  const stream = (name: number): Random => createSeededRandom(seed * 1000 + name)
  const timeline: TimelineEntry[] = []
  const violations: Violation[] = []
  const warnings = new Set<string>()
  const atMs = (): number => clock.monotonic() - start
  const tell = (lane: TimelineEntry['lane'], text: string): void => {
    timeline.push({ atMs: atMs(), lane, text })
  }

  const api = createFakeApiServer({ clock })
  let uids = 0
  const apply = (object: KubeObject): void => {
    const { namespace } = object.metadata
    if (namespace !== undefined && api.get('Namespace', undefined, namespace) === undefined) {
      apply(namespaceObject(namespace))
    }
    const before = api.get(object.kind, namespace, object.metadata.name)
    uids += 1
    const uid = before?.metadata.uid ?? `00000000-0000-4000-8000-${String(uids).padStart(12, '0')}`
    const manifest: Manifest = { ...object, metadata: { uid, ...object.metadata } }
    api.apply(manifest)
    for (const address of addressesOf(object)) nodes.get(nodeNameOf(object))?.route(address)
  }

  const configured = (name: string, address: string) =>
    readAgentPlan(scenario.agent, scenario.file, nodeArgs(name, address))
  const { settings, rules } = configured(DEFAULT_NODE, '10.0.0.1')
  const policy = createPolicy(
    policySettings(settings, rules, { base: aws.base, role: aws.nodeRole.name, pending: false }),
  )
  // Loaded before time begins: what comes from the disk comes in real time.
  await policy.prepare()

  const judge = createStsJudge({ ...aws, now: () => clock.now() })
  const sts = createSimulatedSts({
    judge: () => judge,
    clock,
    trueNow: () => clock.now(),
    random: stream(1),
    region: aws.region,
    onNotJudged(grant, why) {
      warnings.add(
        `STS refused ${grant.role.text} because its trust policy hangs on what is not known here: ${why.join('; ')}`,
      )
    },
    onCall({ grant, outcome }) {
      invariants.stsCalled()
      tell('sts', `AssumeRole ${grant.role.text} as ${grant.sessionName}: ${outcome}`)
    },
  })

  const reasons = createReasons()
  const nodes = new Map<string, SimulatedNode>()
  const names = nodeNames(scenario.objects)
  names.forEach((name, index) => {
    const address = `10.0.0.${250 - (index % 200)}`
    const onLog = (level: LogLevel, message: string, fields: LogFields): void => {
      reasons.note(message, fields)
      const shown = level !== 'debug' && level !== 'trace' && message !== 'request'
      if (shown) tell('agent', logText(names.length > 1 ? `${name}: ` : '', message, fields))
    }
    nodes.set(
      name,
      createSimulatedNode({
        name,
        address,
        configuration: configured(name, address),
        clock,
        random: stream(10 + index),
        api,
        sts,
        instance: createSimulatedInstance(aws.nodeRole, aws.region, `i-${String(index).padStart(17, '0')}`),
        onLog,
      }),
    )
  })
  for (const name of names) apply(nodeObject(name))
  for (const object of inOrder(scenario.objects)) apply(object)

  const truth = createTruth(api, policy)
  const invariants = createInvariants({
    wanted: scenario.invariants,
    truth,
    now: () => clock.now(),
    atMs,
    onViolation(violation) {
      violations.push(violation)
      tell('violation', `${violation.invariant}: ${violation.message}`)
    },
  })
  const faults = createFaults({
    clock,
    api,
    sts,
    nodes: [...nodes.values()],
    onEnd: (what) => tell('fault', `${what}: over`),
  })

  return {
    clock,
    api,
    sts,
    nodes,
    faults,
    invariants,
    reasons,
    timeline,
    violations,
    warnings,
    atMs,
    tell,
    apply,
    pod: (key) => {
      const [namespace = '', name = ''] = key.split('/')
      return api.get('Pod', namespace, name)
    },
    nodeOf(key) {
      const [namespace = '', name = ''] = key.split('/')
      const pod = api.get('Pod', namespace, name)
      const node = nodes.get(pod === undefined ? DEFAULT_NODE : nodeNameOf(pod)) ?? nodes.get(DEFAULT_NODE)
      if (node === undefined) throw new StepProblem(`pod ${key} is on no node of the scenario`)
      return node
    },
    pump: (promise, what) => pump(clock, promise, what),
    async close() {
      truth.close()
      faults.clear('all')
      for (const node of nodes.values()) node.close()
      await api.close()
    },
  }
}

const addressesOf = (object: KubeObject): readonly string[] =>
  object.kind === 'Pod'
    ? digList(object, 'status', 'podIPs').flatMap((entry) => digText(entry, 'ip') ?? [])
    : []

function nodeNames(objects: readonly KubeObject[]): readonly string[] {
  const named = objects.flatMap((object) =>
    object.kind === 'Node' ? [keyOf(object)] : object.kind === 'Pod' ? [nodeNameOf(object)] : [],
  )
  return [...new Set(named.length === 0 ? [DEFAULT_NODE] : named)].toSorted()
}

/** A log line without what says nothing in a transcript. */
function logText(prefix: string, message: string, fields: LogFields): string {
  const shown = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || HIDDEN.has(name) ? [] : [`${name}=${fieldText(value)}`],
  )
  return `${prefix}${message}${shown.length === 0 ? '' : `  ${shown.join(' ')}`}`
}

const HIDDEN = new Set(['uid', 'version', 'durationMs', 'tookMs', 'afterMs', 'owner'])

function fieldText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  if (typeof value === 'number') return String(Math.round(value))
  return JSON.stringify(value) ?? ''
}
