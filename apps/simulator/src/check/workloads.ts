import type { NamespaceRecord, PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import { WORKLOAD_KINDS } from '../cluster/kinds.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { dig, digList, digText, keyOf } from '../cluster/objects.ts'

/** Something that makes pods, or a pod that nothing made. */
export interface Workload {
  /** One of Kubernetes' own, or of a controller that keeps its pod template at the same place (Rollout, …). */
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
  readonly hostNetwork: boolean
  /** The annotations of its pods. */
  readonly annotations: Readonly<Record<string, string>>
}

/** `Deployment shop/web`. */
export const workloadKey = ({ kind, namespace, name }: Workload): string => `${kind} ${namespace}/${name}`

/** The workloads among objects: what another workload made is left out, so that each is named once. */
export function workloadsOf(objects: readonly KubeObject[]): readonly Workload[] {
  const present = new Set(objects.map((object) => `${object.kind} ${keyOf(object)}`))
  const workloads = objects.flatMap((object): Workload[] => {
    const template = templateOf(object)
    if (template === undefined || isMadeBy(object, present)) return []
    return [
      {
        kind: object.kind,
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

function templateOf(object: KubeObject): unknown {
  if (object.kind === 'Pod') return finished(object) ? undefined : object
  if (object.kind === 'CronJob') return dig(object, 'spec', 'jobTemplate', 'spec', 'template')
  const template = dig(object, 'spec', 'template')
  if (WORKLOAD_KINDS.some((known) => known === object.kind)) return template
  return Array.isArray(dig(template, 'spec', 'containers')) ? template : undefined
}

/** Objects that make pods somewhere where they are not looked for: `WorkflowTemplate ci/build`. */
export function notLookedAt(objects: readonly KubeObject[]): readonly string[] {
  const own = new Set<string>(WORKLOAD_KINDS)
  return objects
    .filter((object) => !own.has(object.kind) && templateOf(object) === undefined && hasContainers(object, 0))
    .map((object) => `${object.kind} ${keyOf(object)}`)
    .toSorted()
}

const DEEPEST = 12

/** Whether a list of containers, or one container, with an image is anywhere in it. */
function hasContainers(value: unknown, depth: number): boolean {
  if (depth > DEEPEST || typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some((item) => hasContainers(item, depth + 1))
  const isContainer = (item: unknown): boolean => digText(item, 'image') !== undefined
  return (
    digList(value, 'containers').some(isContainer) ||
    isContainer(dig(value, 'container')) ||
    Object.values(value).some((inner) => hasContainers(inner, depth + 1))
  )
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
