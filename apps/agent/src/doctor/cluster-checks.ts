import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { type NamespaceRecord, type PodIdentity, systemClock } from '@kube2iam-ts/core'
import type { ApiConnection } from '@kube2iam-ts/pod-registry/kubernetes'
import { feedsOf } from '../cluster.ts'
import { snapshotOf } from '../commands/kubernetes-objects.ts'
import { broken, type Finding, fine, reasonOf } from './finding.ts'

/** What was found at the API server, and what was read there on the way. */
export interface ClusterFindings {
  readonly findings: readonly Finding[]
  readonly pods: readonly PodIdentity[]
  readonly namespaces: readonly NamespaceRecord[]
}

/** A permission, and the setting that needs it. */
interface Need {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly name?: string
  readonly namespace?: string
  readonly for: string
}

/** Whether the API server answers, and lets the agent do what its settings ask for. */
export async function checkCluster(
  settings: AgentSettings,
  connection: ApiConnection,
): Promise<ClusterFindings> {
  const feeds = feedsOf(settings, { connection, clock: systemClock, random: Math.random }, settings.node)
  let pods: readonly PodIdentity[]
  let namespaces: readonly NamespaceRecord[]
  try {
    pods = await snapshotOf(feeds.pods)
    namespaces = await snapshotOf(feeds.namespaces)
  } catch (error) {
    const remedy =
      'look at --kubeconfig or --api-server, the network, and the ClusterRole in deploy/kustomize'
    return { findings: [broken('api-server', reasonOf(error), remedy)], pods: [], namespaces: [] }
  }
  const where = settings.node === undefined ? 'in the cluster' : `on ${settings.node}`
  const findings = [
    fine('api-server', `${pods.length} pods ${where} and ${namespaces.length} namespaces are seen`),
  ]
  for (const need of needsOf(settings)) findings.push(await checkPermission(connection, need))
  return { findings, pods, namespaces }
}

function needsOf(settings: AgentSettings): readonly Need[] {
  const watch = (resource: string): Need[] =>
    ['list', 'watch'].map((verb) => ({ verb, group: '', resource, for: 'knowing who asks' }))
  const [namespace = '', name = ''] = settings.daemonset?.split('/') ?? []
  return [
    ...watch('pods'),
    ...watch('namespaces'),
    ...(settings.serviceAccountRoles ? watch('serviceaccounts') : []),
    ...(settings.podEvents
      ? [{ verb: 'create', group: 'events.k8s.io', resource: 'events', for: '--pod-events' }]
      : []),
    ...(settings.nodeTaint === undefined
      ? []
      : ['get', 'patch'].map((verb) => ({ verb, group: '', resource: 'nodes', for: '--node-taint' }))),
    ...(settings.containerCredentials
      ? [
          {
            verb: 'create',
            group: 'authentication.k8s.io',
            resource: 'tokenreviews',
            for: '--container-credentials',
          },
        ]
      : []),
    ...(settings.daemonset === undefined
      ? []
      : [
          {
            verb: 'get',
            group: 'apps',
            resource: 'daemonsets',
            namespace,
            name,
            for: '--iptables-cleanup=auto',
          },
          ...(settings.nodeTaint === undefined
            ? [{ verb: 'get', group: '', resource: 'nodes', for: '--iptables-cleanup=auto' }]
            : []),
        ]),
  ]
}

async function checkPermission(connection: ApiConnection, need: Need): Promise<Finding> {
  const { verb, group, resource, namespace, name, for: purpose } = need
  const check = 'permission'
  const what = `${verb} ${group === '' ? resource : `${resource}.${group}`}`
  try {
    const { status, body } = await connection.request({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { verb, group, resource, namespace, name } },
      }),
    })
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    if (status >= 300) return fine(check, `whether the agent may ${what} cannot be asked (${status})`)
    const review = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { status?: { allowed?: boolean } }
    return review.status?.allowed === true
      ? fine(check, `the agent may ${what}`)
      : broken(
          check,
          `the agent may not ${what}, which ${purpose} needs`,
          'add it to the ClusterRole, as in deploy/kustomize',
        )
  } catch (error) {
    return broken(check, reasonOf(error), 'look at the API server')
  }
}
