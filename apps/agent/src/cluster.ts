import type { AgentSettings, ClusterPort } from '@kube2iam-ts/agent-runtime'
import { type Clock, CodedError, isCoded, type Random } from '@kube2iam-ts/core'
import {
  type ApiConnection,
  type Cluster,
  type ClusterSource,
  connectToCluster,
  createAddressConfirmation,
  createDaemonSetReader,
  createEventRecorder,
  createNamespaceFeed,
  createNodeLabelsReader,
  createNodeTaints,
  createPodFeed,
  createServiceAccountFeed,
  createTokenReviewer,
  loadCluster,
} from '@kube2iam-ts/pod-registry/kubernetes'
import { buildInfo } from './build-info.ts'
import type { Environment } from './wire.ts'

/** Which API server: --kubeconfig, then --api-server, then the pod's own service account, as in kube2iam. */
export function clusterSource(settings: AgentSettings, environment: Environment): ClusterSource {
  const { kubeconfig, apiServer, apiToken, apiTokenFile, apiServerCaFile, insecure } = settings
  if (kubeconfig !== undefined) return { kind: 'kubeconfig', path: kubeconfig }
  if (apiServer !== undefined) {
    return {
      kind: 'address',
      server: apiServer,
      insecure,
      ...(apiToken !== undefined && { token: apiToken }),
      ...(apiTokenFile !== undefined && { tokenFile: apiTokenFile }),
      ...(apiServerCaFile !== undefined && { caFile: apiServerCaFile }),
    }
  }
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  if (host !== undefined) return { kind: 'in-cluster', host, port }
  throw new CodedError(
    'CONFIG_INVALID',
    '--kubeconfig is not given, nor --api-server, and this is no pod: give one of them',
  )
}

/** --insecure holds for a kubeconfig too, as in kube2iam. */
const unverified = (cluster: Cluster): Cluster => ({
  ...cluster,
  async access(signal) {
    const access = await cluster.access(signal)
    return { ...access, tls: { ...access.tls, rejectUnauthorized: false } }
  },
})

/** The configuration of the API server, read. Rejects with `CONFIG_INVALID`, naming the flag that led to it. */
export async function openCluster(settings: AgentSettings, environment: Environment): Promise<Cluster> {
  const source = clusterSource(settings, environment)
  try {
    const cluster = await loadCluster(source)
    return settings.insecure ? unverified(cluster) : cluster
  } catch (error) {
    if (!isCoded(error, 'CLUSTER_CONFIG')) throw error
    const flag = {
      kubeconfig: '--kubeconfig',
      address: '--api-server',
      'in-cluster': 'in-cluster configuration',
    }
    const right =
      source.kind === 'kubeconfig' ? ': give a kubeconfig whose current context names a cluster' : ''
    throw new CodedError('CONFIG_INVALID', `${flag[source.kind]}: ${error.message}${right}`, { cause: error })
  }
}

/** What is watched, of whichever API server. */
export function feedsOf(
  settings: AgentSettings,
  outside: { readonly connection: ApiConnection; readonly clock: Clock; readonly random: Random },
  node: string | undefined,
): Pick<ClusterPort, 'pods' | 'namespaces' | 'serviceAccounts'> {
  const { relistInterval } = settings
  // Nodes that began together do not go on together.
  const relistEveryMs = relistInterval * (1 + outside.random() / 5)
  const shared = { ...outside, ...(relistInterval > 0 && { relistEveryMs }) }
  const namespaceKeys = [
    settings.namespaceKey,
    settings.namespacePermittedKey,
    settings.namespaceDefaultRoleKey,
  ]
  return {
    pods: createPodFeed({
      ...shared,
      ...(node !== undefined && { node }),
      annotationKeys: podKeys(settings),
    }),
    namespaces: createNamespaceFeed({ ...shared, annotationKeys: namespaceKeys }),
    serviceAccounts: createServiceAccountFeed({ ...shared, annotationKeys: settings.serviceAccountRoleKeys }),
  }
}

const podKeys = ({ iamRoleKey, iamExternalId, sessionNameKey, sessionTagsKey }: AgentSettings): string[] => [
  iamRoleKey,
  iamExternalId,
  sessionNameKey,
  ...(sessionTagsKey === undefined ? [] : [sessionTagsKey]),
]

/** The API server as the agent uses it. Rejects with `CONFIG_INVALID` before anything is asked. */
export async function connect(
  settings: AgentSettings,
  environment: Environment,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<ClusterPort> {
  const cluster = await openCluster(settings, environment)
  const connection = connectToCluster(cluster, { userAgent: `kube2iam/${buildInfo.version}` })
  const { node } = settings
  return {
    ...feedsOf(settings, { connection, clock, random }, node),
    confirm: createAddressConfirmation({
      connection,
      ...(node !== undefined && { node }),
      annotationKeys: podKeys(settings),
    }),
    events: createEventRecorder({
      connection,
      clock,
      random,
      component: 'kube2iam',
      instance: node ?? 'kube2iam',
    }),
    taints: createNodeTaints({ connection }),
    tokenReviewer: createTokenReviewer({ connection }),
    daemonSets: createDaemonSetReader({ connection }),
    nodeLabels: createNodeLabelsReader({ connection }),
    close: () => connection.close(),
  }
}
