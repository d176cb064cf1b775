import type { Grant, NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import { toIpAddress } from '@kube2iam-ts/core'
import type { FakeApiServer, KubernetesObject } from '@kube2iam-ts/pod-registry/testing'
import type { Policy } from '@kube2iam-ts/role-policy'
import { digList, digText } from '../cluster/objects.ts'

/**
 * What each pod may have, read from the API server's own state and not by way of any agent: the measure that agents
 * are held to. A pod is its UID; what it could have at any time of its life it may still hold.
 */
export interface Truth {
  /** Whether these could ever have been this pod's credentials. */
  owns(uid: string, grant: Grant): boolean
  close(): void
}

export function createTruth(api: FakeApiServer, policy: Policy): Truth {
  const own = new Map<string, Set<string>>()

  const learn = (object: KubernetesObject): void => {
    const pod = podOf(object)
    const { namespace } = pod
    for (const identifiedBy of ['address', 'token'] as const) {
      const decision = policy.decide({
        pod,
        namespace: namespaceOf(api.get('Namespace', undefined, namespace), namespace),
        serviceAccount: accountOf(api.get('ServiceAccount', namespace, pod.serviceAccount), pod),
        requested: undefined,
        identifiedBy,
      })
      if (decision.kind !== 'granted') continue
      const known = own.get(pod.uid) ?? new Set()
      own.set(pod.uid, known.add(identityOf(decision.grant)))
    }
  }

  for (const pod of api.list('Pod')) learn(pod)
  const close = api.subscribe(({ type, object }) => {
    if (type === 'DELETED') return
    const { kind } = object
    if (kind === 'Pod') learn(object)
    else if (kind === 'Namespace') for (const pod of api.list('Pod', object.metadata.name)) learn(pod)
    else if (kind === 'ServiceAccount')
      for (const pod of api.list('Pod', object.metadata.namespace)) learn(pod)
  })
  return { owns: (uid, grant) => own.get(uid)?.has(identityOf(grant)) ?? false, close }
}

/** What makes a session somebody's: duration, tags and region may be adapted to what STS accepts. */
const identityOf = ({ role, externalId, sessionName, sourceIdentity }: Grant): string =>
  JSON.stringify([role.text, externalId ?? null, sessionName, sourceIdentity ?? null])

function podOf({ metadata, ...rest }: KubernetesObject): PodIdentity {
  const addresses = digList(rest, 'status', 'podIPs').flatMap(
    (entry) => toIpAddress(digText(entry, 'ip') ?? '') ?? [],
  )
  return {
    uid: metadata.uid ?? '',
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    serviceAccount: digText(rest, 'spec', 'serviceAccountName') ?? 'default',
    node: digText(rest, 'spec', 'nodeName') ?? '',
    addresses,
    hostNetwork: (rest['spec'] as { hostNetwork?: boolean } | undefined)?.hostNetwork === true,
    phase: 'Running',
    createdAt: new Date(0),
    deletedAt: undefined,
    annotations: metadata.annotations ?? {},
  }
}

const namespaceOf = (object: KubernetesObject | undefined, name: string): NamespaceRecord => ({
  name,
  annotations: object?.metadata.annotations ?? {},
})

const accountOf = (
  object: KubernetesObject | undefined,
  { namespace, serviceAccount }: PodIdentity,
): ServiceAccountRecord => ({
  namespace,
  name: serviceAccount,
  annotations: object?.metadata.annotations ?? {},
})
