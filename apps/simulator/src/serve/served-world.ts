import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KubernetesObject } from '@kube2iam-ts/pod-registry/testing'
import type { KubeObject } from '../cluster/objects.ts'
import { keyOf } from '../cluster/objects.ts'
import { startAgentOf } from '../demo/agents.ts'
import type { Scenario } from '../scenario/load.ts'
import { podToken } from '../simulation/pod-token.ts'
import type { Terminal } from '../terminal.ts'
import type { AgentProcess } from '../world/agent-process.ts'
import type { EmbeddedWorld } from '../world/embedded-world.ts'
import { inOrder, startEmbeddedWorld } from '../world/embedded-world.ts'
import type { ContainerRelay } from './container-relay.ts'
import { startContainerRelay } from './container-relay.ts'
import type { PodAddress } from './loopback.ts'
import { nodeOf, onLoopback } from './loopback.ts'
import { WORLD_FAULTS } from './world-faults.ts'

/** One request of a pod, from the agent's log. */
export interface SeenRequest {
  readonly time: string
  readonly node: string
  readonly peer: string
  readonly pod: string | undefined
  readonly route: string
  readonly outcome: string
  readonly status: number
  readonly durationMs: number
}

/** A scenario's world on loopback, with the real agent, until it is closed. */
export interface ServedWorld {
  readonly world: EmbeddedWorld
  readonly agents: ReadonlyMap<string, AgentProcess>
  readonly relay: ContainerRelay
  /** The pod that tools on this machine are. */
  readonly self: string | undefined
  readonly addresses: readonly PodAddress[]
  readonly scenario: Scenario
  /** The latest first. */
  readonly requests: readonly SeenRequest[]
  /** Faults that are on. */
  readonly broken: ReadonlySet<string>
  /** What to set so that SDKs and tools on this machine find the world. */
  exports(): Readonly<Record<string, string>>
  /** Puts another version of the scenario in place; agents are restarted only where their arguments changed. */
  reload(scenario: Scenario): Promise<void>
  /** Turns a fault on or off; false where there is no such fault. */
  toggle(fault: string): boolean
  close(): Promise<void>
}

const REMEMBERED_REQUESTS = 100

export async function startServedWorld(
  first: Scenario,
  wanted: string | undefined,
  terminal: Pick<Terminal, 'interrupted' | 'leftovers'>,
): Promise<ServedWorld> {
  const self = wanted ?? firstWithRole(first)
  let scenario = first
  let placed = onLoopback(first.objects, self)
  const world = await startEmbeddedWorld({
    aws: first.aws,
    objects: placed.objects,
    leftovers: terminal.leftovers,
  })
  const agents = new Map<string, AgentProcess>()
  const requests: SeenRequest[] = []
  const broken = new Set<string>()
  const tokenFile = join(world.directory, 'token')
  let token = ''

  const onLog = (node: string, line: string): void => {
    const seen = requestOf(node, line)
    if (seen === undefined) return
    requests.unshift(seen)
    requests.length = Math.min(requests.length, REMEMBERED_REQUESTS)
  }
  const startAgents = async (): Promise<void> => {
    const named = [...new Set(placed.objects.filter(({ kind }) => kind === 'Pod').map(nodeOf))].toSorted()
    const nodes = named.length === 0 ? ['node-1'] : named
    const starts = await Promise.allSettled(
      nodes.map((node) =>
        startAgentOf({
          node,
          world,
          region: scenario.aws.region,
          baseArn: scenario.aws.base.text,
          args: [
            '--container-credentials=true',
            ...scenario.agent.args.filter(isForAnyNode),
            '--log-format=json',
          ],
          env: scenario.agent.env,
          onLog: (line) => onLog(node, line),
          terminal,
        }),
      ),
    )
    // Those that did start are known, so that they are stopped, when one did not.
    nodes.forEach((node, index) => {
      const start = starts[index]
      if (start?.status === 'fulfilled') agents.set(node, start.value)
    })
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
  const stopAgents = async (): Promise<void> => {
    await Promise.all([...agents.values()].map((agent) => agent.stop()))
    agents.clear()
  }
  const issueToken = (): void => {
    const [namespace = '', name = ''] = (self ?? '').split('/')
    const pod: KubernetesObject | undefined = world.api.get('Pod', namespace, name)
    const uid = pod?.metadata.uid ?? ''
    token = podToken(namespace, uid)
    world.api.addToken(token, {
      username: `system:serviceaccount:${namespace}:default`,
      extra: {
        'authentication.kubernetes.io/pod-name': [name],
        'authentication.kubernetes.io/pod-uid': [uid],
      },
    })
    writeFileSync(tokenFile, token, { mode: 0o600 })
  }

  const selfAgent = (): AgentProcess | undefined => {
    const pod = placed.objects.find((object) => object.kind === 'Pod' && keyOf(object) === self)
    return agents.get(pod === undefined ? 'node-1' : nodeOf(pod)) ?? [...agents.values()][0]
  }
  let relay: ContainerRelay
  try {
    await startAgents()
    relay = await startContainerRelay(() => selfAgent()?.metadataUrl ?? 'http://127.0.0.1:9')
    issueToken()
  } catch (error) {
    await stopAgents()
    await world.close()
    throw error
  }

  return {
    world,
    agents,
    relay,
    self,
    requests,
    broken,
    get addresses() {
      return placed.addresses
    },
    get scenario() {
      return scenario
    },
    exports: () => ({
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `${selfAgent()?.metadataUrl ?? ''}/`,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: relay.uri,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
      // Older clients, such as Debian's AWS CLI, do not know the file. The token opens nothing but this world.
      AWS_CONTAINER_AUTHORIZATION_TOKEN: token,
      AWS_ENDPOINT_URL_STS: world.urls.sts,
      AWS_REGION: scenario.aws.region,
      // The AWS CLI and boto3 read this one.
      AWS_DEFAULT_REGION: scenario.aws.region,
      KUBECONFIG: world.kubeconfig,
    }),
    async reload(next) {
      const before = placed.objects
      const settingsChanged = JSON.stringify(next.agent) !== JSON.stringify(scenario.agent)
      scenario = next
      placed = onLoopback(next.objects, self)
      applyDifference(world, before, placed.objects)
      world.setRoles(next.aws.roles)
      issueToken()
      if (settingsChanged) {
        await stopAgents()
        await startAgents()
      }
    },
    toggle(name) {
      const fault = WORLD_FAULTS.find((known) => known.name === name)
      if (fault === undefined) return false
      if (broken.delete(name)) fault.end(world)
      else {
        broken.add(name)
        fault.begin(world)
      }
      return true
    },
    async close() {
      await Promise.all([stopAgents(), relay.close()])
      await world.close()
    },
  }
}

/** Settings that say where this world is are the world's. */
const isForAnyNode = (arg: string): boolean =>
  !/^--(iptables|host-ip|host-interface|node|kubeconfig|api-server|api-server-ca-file|api-token|api-token-file|metadata-addr|app-port|metrics-port|bind-address|run-directory|log-format)(=|$)/.test(
    arg,
  )

function firstWithRole({ objects }: Scenario): string | undefined {
  const pods = objects.filter(({ kind }) => kind === 'Pod')
  const annotated = pods.find(
    ({ metadata }) => metadata.annotations?.['iam.amazonaws.com/role'] !== undefined,
  )
  const chosen = annotated ?? pods[0]
  return chosen === undefined ? undefined : keyOf(chosen)
}

function applyDifference(
  world: EmbeddedWorld,
  before: readonly KubeObject[],
  after: readonly KubeObject[],
): void {
  const id = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`
  const kept = new Set(after.map(id))
  for (const object of inOrder(before).toReversed()) {
    if (!kept.has(id(object))) world.api.delete(object.kind, object.metadata.namespace, object.metadata.name)
  }
  const old = new Map(before.map((object) => [id(object), JSON.stringify(object)]))
  for (const object of inOrder(after)) {
    if (old.get(id(object)) !== JSON.stringify(object)) world.api.apply(object)
  }
}

function requestOf(node: string, line: string): SeenRequest | undefined {
  if (!line.includes('"msg":"request"')) return undefined
  try {
    const { time, peer, pod, route, outcome, status, durationMs } = JSON.parse(line) as SeenRequest
    return { time, node, peer, pod, route, outcome, status, durationMs }
  } catch {
    return undefined
  }
}
