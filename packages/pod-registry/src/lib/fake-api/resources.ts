/** A Kubernetes object as JSON. Only what the server itself reads is typed. */
export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  [field: string]: unknown
}

export interface ObjectMeta {
  name: string
  namespace?: string
  generateName?: string
  uid?: string
  resourceVersion?: string
  creationTimestamp?: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  [field: string]: unknown
}

/** What `apply` takes: the same with the metadata that the server fills in left out. */
export interface Manifest {
  apiVersion?: string
  kind: string
  metadata: Partial<ObjectMeta>
  [field: string]: unknown
}

/** One column of `kubectl get`. */
export interface Column {
  readonly name: string
  readonly type?: 'string' | 'integer' | 'date'
  /** 1: shown with `-o wide` only. */
  readonly priority?: number
  readonly of: (object: KubernetesObject, now: number) => unknown
}

/** One kind that the server knows. */
export interface Resource {
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly group: string
  readonly version: string
  readonly namespaced: boolean
  readonly verbs: readonly string[]
  readonly subresources: readonly string[]
  /** Field selectors beside `metadata.name` and `metadata.namespace`: label to path (API server: per-kind field label conversion). */
  readonly fields: Readonly<Record<string, (object: KubernetesObject) => string>>
  readonly columns: readonly Column[]
}

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

/** Reads a nested value; `undefined` where the path ends early. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null
        ? (inner as Record<string | number, unknown>)[key]
        : undefined,
    value,
  )
}

const text = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : typeof value === 'boolean' || typeof value === 'number'
      ? `${value}`
      : ''
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const field =
  (...path: string[]) =>
  (object: KubernetesObject): string =>
    text(at(object, ...path))

const NAME: Column = { name: 'Name', of: (object) => object.metadata.name }
const AGE: Column = {
  name: 'Age',
  of: (object, now) => age(object.metadata.creationTimestamp, now),
}

/** The age as kubectl prints it. */
export function age(since: string | undefined, now: number): string {
  if (since === undefined) return '<unknown>'
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

function podStatus(pod: KubernetesObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating'
  const phase = text(at(pod, 'status', 'phase')) || 'Pending'
  return phase === 'Succeeded' ? 'Completed' : text(at(pod, 'status', 'reason')) || phase
}

const podReady = (pod: KubernetesObject): string => {
  const containers = list(at(pod, 'spec', 'containers'))
  const statuses = list(at(pod, 'status', 'containerStatuses'))
  const ready =
    statuses.length > 0
      ? statuses.filter((status) => at(status, 'ready') === true).length
      : at(pod, 'status', 'phase') === 'Running'
        ? containers.length
        : 0
  return `${ready}/${containers.length}`
}

const restarts = (pod: KubernetesObject): number =>
  list(at(pod, 'status', 'containerStatuses')).reduce<number>(
    (sum, status) => sum + Number(at(status, 'restartCount') ?? 0),
    0,
  )

const nodeReady = (node: KubernetesObject): string => {
  const ready = list(at(node, 'status', 'conditions')).find((condition) => at(condition, 'type') === 'Ready')
  return at(ready, 'status') === 'True' ? 'Ready' : ready === undefined ? 'Unknown' : 'NotReady'
}

const EVENT_FIELDS = {
  'involvedObject.kind': field('involvedObject', 'kind'),
  'involvedObject.namespace': field('involvedObject', 'namespace'),
  'involvedObject.name': field('involvedObject', 'name'),
  'involvedObject.uid': field('involvedObject', 'uid'),
  'involvedObject.apiVersion': field('involvedObject', 'apiVersion'),
  'involvedObject.fieldPath': field('involvedObject', 'fieldPath'),
  reason: field('reason'),
  type: field('type'),
  reportingComponent: field('reportingComponent'),
}

const base = { group: '', version: 'v1', verbs: VERBS, subresources: [], shortNames: [], fields: {} } as const

/** The kinds that the server serves. Events of `events.k8s.io` are the same objects in another dress. */
export const RESOURCES: readonly Resource[] = [
  {
    ...base,
    kind: 'Pod',
    plural: 'pods',
    singular: 'pod',
    shortNames: ['po'],
    namespaced: true,
    subresources: ['status'],
    fields: {
      'spec.nodeName': field('spec', 'nodeName'),
      'spec.serviceAccountName': field('spec', 'serviceAccountName'),
      'spec.hostNetwork': (pod) => text(at(pod, 'spec', 'hostNetwork') ?? false),
      'spec.restartPolicy': field('spec', 'restartPolicy'),
      'status.phase': field('status', 'phase'),
      // Only the first address: what kubernetes/kubernetes does, and why dual-stack lookups by it find one family only.
      'status.podIP': field('status', 'podIP'),
    },
    columns: [
      NAME,
      { name: 'Ready', of: podReady },
      { name: 'Status', of: podStatus },
      { name: 'Restarts', type: 'integer', of: restarts },
      AGE,
      { name: 'IP', priority: 1, of: (pod) => text(at(pod, 'status', 'podIP')) || '<none>' },
      { name: 'Node', priority: 1, of: (pod) => text(at(pod, 'spec', 'nodeName')) || '<none>' },
    ],
  },
  {
    ...base,
    kind: 'Namespace',
    plural: 'namespaces',
    singular: 'namespace',
    shortNames: ['ns'],
    namespaced: false,
    subresources: ['status'],
    fields: { 'status.phase': field('status', 'phase') },
    columns: [NAME, { name: 'Status', of: (ns) => text(at(ns, 'status', 'phase')) || 'Active' }, AGE],
  },
  {
    ...base,
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    singular: 'serviceaccount',
    shortNames: ['sa'],
    namespaced: true,
    columns: [NAME, { name: 'Secrets', type: 'integer', of: (sa) => list(at(sa, 'secrets')).length }, AGE],
  },
  {
    ...base,
    kind: 'Node',
    plural: 'nodes',
    singular: 'node',
    shortNames: ['no'],
    namespaced: false,
    subresources: ['status'],
    fields: { 'spec.unschedulable': (node) => text(at(node, 'spec', 'unschedulable') ?? false) },
    columns: [
      NAME,
      { name: 'Status', of: nodeReady },
      {
        name: 'Taints',
        of: (node) =>
          list(at(node, 'spec', 'taints'))
            .map((taint) => `${text(at(taint, 'key'))}:${text(at(taint, 'effect'))}`)
            .join(',') || '<none>',
      },
      AGE,
    ],
  },
  {
    ...base,
    kind: 'Event',
    plural: 'events',
    singular: 'event',
    shortNames: ['ev'],
    namespaced: true,
    fields: EVENT_FIELDS,
    columns: [
      {
        name: 'Last Seen',
        of: (event, now) => age(text(at(event, 'lastTimestamp')) || event.metadata.creationTimestamp, now),
      },
      { name: 'Type', of: field('type') },
      { name: 'Reason', of: field('reason') },
      {
        name: 'Object',
        of: (event) =>
          `${field('involvedObject', 'kind')(event).toLowerCase()}/${field('involvedObject', 'name')(event)}`,
      },
      { name: 'Message', of: field('message') },
    ],
  },
  {
    ...base,
    kind: 'DaemonSet',
    plural: 'daemonsets',
    singular: 'daemonset',
    shortNames: ['ds'],
    group: 'apps',
    namespaced: true,
    subresources: ['status'],
    columns: [
      NAME,
      {
        name: 'Desired',
        type: 'integer',
        of: (ds) => Number(at(ds, 'status', 'desiredNumberScheduled') ?? 0),
      },
      { name: 'Ready', type: 'integer', of: (ds) => Number(at(ds, 'status', 'numberReady') ?? 0) },
      AGE,
    ],
  },
]

export const apiVersionOf = (resource: Resource): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`

export const resourceOfKind = (kind: string): Resource | undefined =>
  RESOURCES.find((resource) => resource.kind === kind)

/** The resource of a request path's group, version and plural. */
export function resourceAt(group: string, version: string, plural: string): Resource | undefined {
  if (group === 'events.k8s.io' && version === 'v1' && plural === 'events') return resourceOfKind('Event')
  return RESOURCES.find((r) => r.group === group && r.version === version && r.plural === plural)
}
