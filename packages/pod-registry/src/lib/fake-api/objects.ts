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

/** The value as a selector compares it; empty where there is none. */
export const text = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : typeof value === 'boolean' || typeof value === 'number'
      ? `${value}`
      : ''
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
/** Reads a field as text. */
export const field =
  (...path: string[]) =>
  (object: KubernetesObject): string =>
    text(at(object, ...path))
