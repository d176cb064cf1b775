import { type AgentSettings, createDiscoveredPolicy, foldedRoleKeys } from '@kube2iam-ts/agent-runtime'
import { ignoreReports, isCoded, systemClock } from '@kube2iam-ts/core'
import { createInstanceMetadata } from '@kube2iam-ts/metadata-emulator/node'
import { connectToCluster } from '@kube2iam-ts/pod-registry/kubernetes'
import { type Explanation, type Policy, renderExplanation } from '@kube2iam-ts/role-policy'
import { feedsOf, openCluster } from '../cluster.ts'
import { metadataOrigin } from '../wire.ts'
import { type CommandInput, say, sayJson, settingsOf, UsageError } from './command.ts'
import {
  connectionTo,
  getObject,
  type KubernetesObject,
  readManifests,
  snapshotOf,
} from './kubernetes-objects.ts'

export interface ExplainInput extends CommandInput {
  /** `namespace/name`. */
  readonly pod: string
  readonly role?: string | undefined
  readonly manifests?: readonly string[] | undefined
  readonly json: boolean
}

/** The decision that the agent would make. Exit status 0 if the pod gets its role, else 1. */
export async function explain({ pod, role, manifests, json, ...input }: ExplainInput): Promise<number> {
  const settings = await settingsOf(input)
  const [namespace, name] = pod.split('/')
  if (!namespace || !name) throw new UsageError(`--pod "${pod}" names no pod: give NAMESPACE/NAME`)
  const objects =
    manifests === undefined
      ? await fromCluster(settings, input, namespace, name)
      : await readManifests(manifests)
  const policy = await policyOf(settings, manifests === undefined)
  const explanation = await explained(settings, policy, objects, { namespace, name, role })
  if (explanation === undefined) throw new UsageError(`--pod ${pod} is not there: give a pod that exists`)
  await (json ? sayJson(explanation) : say(renderExplanation(explanation)))
  return explanation.decision.kind === 'granted' ? 0 : 1
}

async function explained(
  settings: AgentSettings,
  policy: Policy,
  objects: readonly KubernetesObject[],
  asked: { readonly namespace: string; readonly name: string; readonly role: string | undefined },
): Promise<Explanation | undefined> {
  const connection = connectionTo(objects)
  const feeds = feedsOf(settings, { connection, clock: systemClock, random: Math.random }, undefined)
  const pods = await snapshotOf(feeds.pods)
  const pod = pods.find((one) => one.namespace === asked.namespace && one.name === asked.name)
  if (pod === undefined) return undefined
  const namespaces = await snapshotOf(feeds.namespaces)
  const accounts = await snapshotOf(foldedRoleKeys(feeds.serviceAccounts, settings.serviceAccountRoleKeys))
  return policy.explain({
    pod,
    // A namespace that no manifest describes is one without annotations.
    namespace: namespaces.find((one) => one.name === pod.namespace) ?? {
      name: pod.namespace,
      annotations: {},
    },
    serviceAccount: accounts.find(
      (one) => one.namespace === pod.namespace && one.name === pod.serviceAccount,
    ) ?? { namespace: pod.namespace, name: pod.serviceAccount, annotations: {} },
    requested: asked.role,
    // What a host-network pod may have by a token is what there is to explain about it, where tokens are served.
    identifiedBy: pod.hostNetwork && settings.containerCredentials ? 'token' : 'address',
  })
}

async function fromCluster(
  settings: AgentSettings,
  { environment }: CommandInput,
  namespace: string,
  name: string,
): Promise<readonly KubernetesObject[]> {
  const connection = connectToCluster(await openCluster(settings, environment))
  try {
    const pod = await getObject(connection, `/api/v1/namespaces/${namespace}/pods/${name}`)
    if (pod === undefined) return []
    const found: (KubernetesObject | undefined)[] = [
      pod,
      await getObject(connection, `/api/v1/namespaces/${namespace}`),
    ]
    if (settings.serviceAccountRoles) {
      const { spec } = pod as { spec?: { serviceAccountName?: string } }
      const account = spec?.serviceAccountName ?? 'default'
      found.push(await getObject(connection, `/api/v1/namespaces/${namespace}/serviceaccounts/${account}`))
    }
    const kinds = ['Pod', 'Namespace', 'ServiceAccount']
    // A single object need not say its kind.
    return found.flatMap((object, index) => {
      const kind = kinds[index]
      return object === undefined || kind === undefined ? [] : [{ ...object, kind }]
    })
  } finally {
    await connection.close()
  }
}

/** The policy of these settings, with what the metadata service says of this node where that may be asked. */
async function policyOf(settings: AgentSettings, ask: boolean): Promise<Policy> {
  const upstream = createInstanceMetadata({
    origin: metadataOrigin(settings),
    clock: systemClock,
    report: ignoreReports,
  })
  const policy = createDiscoveredPolicy({
    settings: ask ? settings : { ...settings, autoDiscoverBaseArn: false, autoDiscoverDefaultRole: false },
    upstream,
    clock: systemClock,
    random: Math.random,
    report: ignoreReports,
    onChange: () => {},
  })
  try {
    if (ask) await policy.discover(AbortSignal.timeout(1_500))
  } catch (error) {
    // It does not answer: the explanation says what that means for a short role name.
    if (!isCoded(error) && !(error instanceof DOMException)) throw error
  } finally {
    await upstream.close()
  }
  await policy.current().prepare()
  return policy.current()
}
