import { randomUUID } from 'node:crypto'
import type { Clock } from '@kube2iam-ts/core'
import { generatedName, isSubdomainPrefix } from './object-names.ts'
import type { KubernetesObject, Manifest } from './objects.ts'
import { apiVersionOf, RESOURCES, type Resource } from './resources.ts'
import { alreadyExists, conflict, expired, invalid, notFound } from './statuses.ts'

/** One write, as the history keeps it. `object` of a deletion is the last state with the deletion's version. */
export interface Change {
  readonly version: number
  readonly resource: Resource
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubernetesObject
  /** The state before; `undefined` of a creation. */
  readonly previous: KubernetesObject | undefined
}

export interface ObjectStoreOptions {
  clock: Clock
  /** How many changes the history keeps before it compacts by itself. */
  historyLimit: number
}

/** Objects with etcd's manners: one counter for all writes, a history that is compacted, immutable states. */
export interface ObjectStore {
  readonly version: number
  /** Changes at or below this version are forgotten. */
  readonly compactedVersion: number
  get(resource: Resource, namespace: string | undefined, name: string): KubernetesObject | undefined
  list(resource: Resource, namespace?: string): KubernetesObject[]
  /** `check` sees the object as it would be written, and throws to refuse it. */
  create(resource: Resource, manifest: Manifest, check?: (object: KubernetesObject) => void): KubernetesObject
  /** Writes the state as it is; `expectedVersion` refuses with 409 where another write came between. */
  replace(resource: Resource, object: KubernetesObject, expectedVersion?: string): KubernetesObject
  remove(resource: Resource, namespace: string | undefined, name: string): KubernetesObject
  /** The changes after a version, oldest first; throws 410 where the history no longer reaches back. */
  since(version: number): readonly Change[]
  compact(): void
  subscribe(listener: (change: Change) => void): () => void
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`
const NAME = /^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$/

export function createObjectStore({ clock, historyLimit }: ObjectStoreOptions): ObjectStore {
  const objects = new Map<Resource, Map<string, KubernetesObject>>(RESOURCES.map((r) => [r, new Map()]))
  const listeners = new Set<(change: Change) => void>()
  let history: Change[] = []
  let version = 1000
  let compactedVersion = 0

  const collection = (resource: Resource): Map<string, KubernetesObject> => {
    const found = objects.get(resource)
    if (found === undefined) throw new Error(`no such resource: ${resource.plural}`)
    return found
  }
  const write = (
    resource: Resource,
    type: Change['type'],
    state: KubernetesObject,
    previous: KubernetesObject | undefined,
  ): KubernetesObject => {
    version += 1
    const object = { ...state, metadata: { ...state.metadata, resourceVersion: `${version}` } }
    const key = keyOf(object.metadata.namespace, object.metadata.name)
    if (type === 'DELETED') collection(resource).delete(key)
    else collection(resource).set(key, object)
    const change: Change = { version, resource, type, object, previous }
    history.push(change)
    if (history.length > historyLimit * 2) forget(history.length - historyLimit)
    for (const listener of listeners) listener(change)
    return object
  }
  /** What is in a namespace goes with it. */
  const empty = (namespace: string): void => {
    for (const [resource, held] of objects) {
      if (!resource.namespaced) continue
      for (const object of held.values()) {
        if (object.metadata.namespace === namespace) write(resource, 'DELETED', object, object)
      }
    }
  }
  const forget = (count: number): void => {
    compactedVersion = history[count - 1]?.version ?? compactedVersion
    history = history.slice(count)
  }

  return {
    get version() {
      return version
    },
    get compactedVersion() {
      return compactedVersion
    },
    get: (resource, namespace, name) => collection(resource).get(keyOf(namespace, name)),
    list(resource, namespace) {
      const all = [...collection(resource).values()]
      return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace)
    },
    create(resource, manifest, check) {
      const object = complete(resource, manifest, clock)
      check?.(object)
      if (collection(resource).has(keyOf(object.metadata.namespace, object.metadata.name))) {
        throw alreadyExists(resource, object.metadata.name)
      }
      return write(resource, 'ADDED', object, undefined)
    },
    replace(resource, object, expectedVersion) {
      const { namespace, name } = object.metadata
      const previous = collection(resource).get(keyOf(namespace, name))
      if (previous === undefined) throw notFound(resource, name)
      if (expectedVersion !== undefined && expectedVersion !== previous.metadata.resourceVersion) {
        throw conflict(resource, name)
      }
      const { uid, creationTimestamp } = previous.metadata
      const metadata = {
        ...object.metadata,
        ...(uid && { uid }),
        ...(creationTimestamp && { creationTimestamp }),
      }
      return write(resource, 'MODIFIED', { ...object, metadata }, previous)
    },
    remove(resource, namespace, name) {
      const previous = collection(resource).get(keyOf(namespace, name))
      if (previous === undefined) throw notFound(resource, name)
      if (resource.kind === 'Namespace') empty(name)
      return write(resource, 'DELETED', previous, previous)
    },
    since(from) {
      if (from < compactedVersion) {
        throw expired(`too old resource version: ${from} (${compactedVersion + 1})`)
      }
      return history.slice(firstAfter(history, from))
    },
    compact() {
      forget(history.length)
      compactedVersion = version
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function firstAfter(history: readonly Change[], version: number): number {
  let [low, high] = [0, history.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((history[middle]?.version ?? 0) <= version) low = middle + 1
    else high = middle
  }
  return low
}

/** What the API server's admission and defaulting add, as far as anybody here looks at it. */
function complete(resource: Resource, manifest: Manifest, clock: Clock): KubernetesObject {
  const { generateName } = manifest.metadata
  const name = manifest.metadata.name ?? (generateName ? generatedName(generateName) : '')
  if (!NAME.test(name)) throw invalid(`metadata.name: Invalid value: ${JSON.stringify(name)}`)
  // Events of `v1` may be called almost anything, and those of `events.k8s.io` have rules of their own.
  if (generateName && resource.kind !== 'Event' && !isSubdomainPrefix(generateName)) {
    throw invalid(`metadata.generateName: Invalid value: ${JSON.stringify(generateName)}`)
  }
  const { namespace: givenNamespace, ...given } = manifest.metadata
  const namespace = resource.namespaced ? (givenNamespace ?? 'default') : undefined
  const object: KubernetesObject = {
    ...manifest,
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: {
      ...given,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid: manifest.metadata.uid ?? randomUUID(),
      creationTimestamp: manifest.metadata.creationTimestamp ?? timestamp(clock.now()),
    },
  }
  return withDefaults(resource, object)
}

function withDefaults(resource: Resource, object: KubernetesObject): KubernetesObject {
  if (resource.kind === 'Namespace') {
    const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name }
    return {
      ...object,
      metadata: { ...object.metadata, labels },
      spec: object['spec'] ?? { finalizers: ['kubernetes'] },
      status: object['status'] ?? { phase: 'Active' },
    }
  }
  if (resource.kind !== 'Pod') return object
  const spec = {
    serviceAccountName: 'default',
    restartPolicy: 'Always',
    ...(object['spec'] as object | undefined),
  }
  const status = { phase: 'Pending', ...(object['status'] as object | undefined) }
  return { ...object, spec, status }
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export const timestamp = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`
