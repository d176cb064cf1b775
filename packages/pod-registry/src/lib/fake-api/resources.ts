import {
  type Column,
  DAEMON_SET_COLUMNS,
  EVENT_COLUMNS,
  NAMESPACE_COLUMNS,
  NODE_COLUMNS,
  POD_COLUMNS,
  SERVICE_ACCOUNT_COLUMNS,
} from './columns.ts'
import { at, field, type KubernetesObject, text } from './objects.ts'

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
    columns: POD_COLUMNS,
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
    columns: NAMESPACE_COLUMNS,
  },
  {
    ...base,
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    singular: 'serviceaccount',
    shortNames: ['sa'],
    namespaced: true,
    columns: SERVICE_ACCOUNT_COLUMNS,
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
    columns: NODE_COLUMNS,
  },
  {
    ...base,
    kind: 'Event',
    plural: 'events',
    singular: 'event',
    shortNames: ['ev'],
    namespaced: true,
    fields: EVENT_FIELDS,
    columns: EVENT_COLUMNS,
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
    columns: DAEMON_SET_COLUMNS,
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
