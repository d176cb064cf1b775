import type { NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import type { KubeObject } from '../cluster/objects.ts'
import { dig, digList, digText, keyOf } from '../cluster/objects.ts'

/** Something that makes pods, or a pod that nothing made. */
export interface Workload {
  readonly kind: WorkloadKind
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
  readonly hostNetwork: boolean
  /** The annotations of its pods. */
  readonly annotations: Readonly<Record<string, string>>
}

export const WORKLOAD_KINDS = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'CronJob',
  'Pod',
] as const

export type WorkloadKind = (typeof WORKLOAD_KINDS)[number]

/** `Deployment shop/web`. */
export const workloadKey = ({ kind, namespace, name }: Workload): string => `${kind} ${namespace}/${name}`

/** The workloads among objects: what another workload made is left out, so that each is named once. */
export function workloadsOf(objects: readonly KubeObject[]): readonly Workload[] {
  const present = new Set(objects.map((object) => `${object.kind} ${keyOf(object)}`))
  const workloads = objects.flatMap((object): Workload[] => {
    const kind = WORKLOAD_KINDS.find((known) => known === object.kind)
    const template = kind === undefined ? undefined : templateOf(kind, object)
    if (kind === undefined || template === undefined || isMadeBy(object, present)) return []
    return [
      {
        kind,
        namespace: object.metadata.namespace ?? 'default',
        name: object.metadata.name,
        serviceAccount:
          digText(template, 'spec', 'serviceAccountName') ??
          digText(template, 'spec', 'serviceAccount') ??
          'default',
        hostNetwork: dig(template, 'spec', 'hostNetwork') === true,
        annotations: textsOf(dig(template, 'metadata', 'annotations')),
      },
    ]
  })
  return workloads.toSorted((a, b) => (workloadOrder(a) < workloadOrder(b) ? -1 : 1))
}

const workloadOrder = ({ kind, namespace, name }: Workload): string => `${namespace}/${name} ${kind}`

function templateOf(kind: WorkloadKind, object: KubeObject): unknown {
  if (kind === 'Pod') return finished(object) ? undefined : object
  if (kind === 'CronJob') return dig(object, 'spec', 'jobTemplate', 'spec', 'template')
  return dig(object, 'spec', 'template')
}

const finished = (pod: KubeObject): boolean =>
  ['Succeeded', 'Failed'].includes(digText(pod, 'status', 'phase') ?? '')

/** Whether its controller is among the objects, or made by one of them (a Deployment's ReplicaSet's pod). */
function isMadeBy(object: KubeObject, present: ReadonlySet<string>): boolean {
  const namespace = object.metadata.namespace ?? 'default'
  return digList(object.metadata, 'ownerReferences').some((owner) => {
    const kind = digText(owner, 'kind') ?? ''
    const name = digText(owner, 'name') ?? ''
    const deployment = `Deployment ${namespace}/${name.replace(/-[a-z0-9]+$/, '')}`
    return present.has(`${kind} ${namespace}/${name}`) || (kind === 'ReplicaSet' && present.has(deployment))
  })
}

/** A pod that the workload would make, as the agent would know it. */
export function podOf(workload: Workload): PodIdentity {
  const made =
    workload.kind === 'Pod'
      ? workload.name
      : `${workload.name}-${workload.kind === 'StatefulSet' ? '0' : 'xxxxx'}`
  return {
    uid: `uid-of-${workloadKey(workload)}`,
    namespace: workload.namespace,
    name: made,
    serviceAccount: workload.serviceAccount,
    node: 'node-1',
    addresses: [],
    hostNetwork: workload.hostNetwork,
    phase: 'Running',
    createdAt: new Date('2026-01-01T00:00:00Z'),
    deletedAt: undefined,
    annotations: workload.annotations,
  }
}

export function namespaceRecords(objects: readonly KubeObject[]): ReadonlyMap<string, NamespaceRecord> {
  return new Map(
    objects
      .filter(({ kind }) => kind === 'Namespace')
      .map(({ metadata }) => [
        metadata.name,
        { name: metadata.name, annotations: metadata.annotations ?? {} },
      ]),
  )
}

export function serviceAccountRecords(
  objects: readonly KubeObject[],
): ReadonlyMap<string, ServiceAccountRecord> {
  return new Map(
    objects
      .filter(({ kind }) => kind === 'ServiceAccount')
      .map((object) => [
        keyOf(object),
        {
          namespace: object.metadata.namespace ?? 'default',
          name: object.metadata.name,
          annotations: object.metadata.annotations ?? {},
        },
      ]),
  )
}

function textsOf(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter(([, text]) => typeof text === 'string')) as Record<
    string,
    string
  >
}
