import type { AgentSettings, ClusterPort } from '@kube2iam-ts/agent-runtime'
import { type Clock, CodedError, type Random } from '@kube2iam-ts/core'
import {
  type ClusterSource,
  connectToCluster,
  createAddressConfirmation,
  createDaemonSetReader,
  createEventRecorder,
  createNamespaceFeed,
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
  const { kubeconfig, apiServer, apiToken, insecure } = settings
  if (kubeconfig !== undefined) return { kind: 'kubeconfig', path: kubeconfig }
  if (apiServer !== undefined) {
    return {
      kind: 'address',
      server: apiServer,
      insecure,
      ...(apiToken !== undefined && { token: apiToken }),
    }
  }
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  if (host !== undefined) return { kind: 'in-cluster', host, port }
  throw new CodedError(
    'CLUSTER_CONFIG',
    'no API server is named, and this is no pod: give --kubeconfig, or --api-server with --api-token',
  )
}

/** The API server as the agent uses it. Rejects with `CLUSTER_CONFIG` before anything is asked. */
export async function connect(
  settings: AgentSettings,
  environment: Environment,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<ClusterPort> {
  const cluster = await loadCluster(clusterSource(settings, environment))
  const connection = connectToCluster(cluster, { userAgent: `kube2iam/${buildInfo.version}` })
  const { node } = settings
  const onNode = node === undefined ? {} : { node }
  const shared = { connection, clock, random }
  const pod = [settings.iamRoleKey, settings.iamExternalId, settings.sessionNameKey]
  const podKeys = settings.sessionTagsKey === undefined ? pod : [...pod, settings.sessionTagsKey]
  return {
    pods: createPodFeed({ ...shared, ...onNode, annotationKeys: podKeys }),
    namespaces: createNamespaceFeed({
      ...shared,
      annotationKeys: [
        settings.namespaceKey,
        settings.namespacePermittedKey,
        settings.namespaceDefaultRoleKey,
      ],
    }),
    serviceAccounts: createServiceAccountFeed({ ...shared, annotationKeys: settings.serviceAccountRoleKeys }),
    confirm: createAddressConfirmation({ connection, ...onNode, annotationKeys: podKeys }),
    events: createEventRecorder({ connection, clock, component: 'kube2iam', instance: node ?? 'kube2iam' }),
    taints: createNodeTaints({ connection }),
    tokenReviewer: createTokenReviewer({ connection }),
    daemonSets: createDaemonSetReader({ connection }),
    close: () => connection.close(),
  }
}
