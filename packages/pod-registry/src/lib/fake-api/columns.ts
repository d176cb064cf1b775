import { at, field, type KubernetesObject, list, text } from './objects.ts'

/** One column of `kubectl get`. */
export interface Column {
  readonly name: string
  readonly type?: 'string' | 'integer' | 'date'
  /** 1: shown with `-o wide` only. */
  readonly priority?: number
  readonly of: (object: KubernetesObject, now: number) => unknown
}

const NAME: Column = { name: 'Name', of: (object) => object.metadata.name }
const AGE: Column = {
  name: 'Age',
  of: (object, now) => age(object.metadata.creationTimestamp, now),
}

/** The age as kubectl prints it. */
function age(since: string | undefined, now: number): string {
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

export const POD_COLUMNS: readonly Column[] = [
  NAME,
  { name: 'Ready', of: podReady },
  { name: 'Status', of: podStatus },
  { name: 'Restarts', type: 'integer', of: restarts },
  AGE,
  { name: 'IP', priority: 1, of: (pod) => text(at(pod, 'status', 'podIP')) || '<none>' },
  { name: 'Node', priority: 1, of: (pod) => text(at(pod, 'spec', 'nodeName')) || '<none>' },
]

export const NAMESPACE_COLUMNS: readonly Column[] = [
  NAME,
  { name: 'Status', of: (ns) => text(at(ns, 'status', 'phase')) || 'Active' },
  AGE,
]

export const SERVICE_ACCOUNT_COLUMNS: readonly Column[] = [
  NAME,
  { name: 'Secrets', type: 'integer', of: (sa) => list(at(sa, 'secrets')).length },
  AGE,
]

export const NODE_COLUMNS: readonly Column[] = [
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
]

export const EVENT_COLUMNS: readonly Column[] = [
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
]

export const DAEMON_SET_COLUMNS: readonly Column[] = [
  NAME,
  {
    name: 'Desired',
    type: 'integer',
    of: (ds) => Number(at(ds, 'status', 'desiredNumberScheduled') ?? 0),
  },
  { name: 'Ready', type: 'integer', of: (ds) => Number(at(ds, 'status', 'numberReady') ?? 0) },
  AGE,
]
