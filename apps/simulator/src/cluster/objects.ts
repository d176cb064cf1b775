/** A Kubernetes object as JSON: no more is assumed of it than was checked when it was read. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly labels?: Readonly<Record<string, string>>
    readonly [key: string]: unknown
  }
  readonly [key: string]: unknown
}

/** A pod in the short form of scenarios. */
export interface ShortPod {
  readonly ip?: readonly string[]
  readonly role?: string
  readonly externalId?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly node?: string
  readonly serviceAccount?: string
  readonly hostNetwork?: boolean
  readonly phase?: string
}

export interface ShortNamespace {
  readonly allowedRoles?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
}

export const DEFAULT_NODE = 'node-1'

const present = <Value>(value: Value | undefined, key: string): Record<string, Value> =>
  value === undefined ? {} : { [key]: value }

/** The Pod that the short form stands for. `key` is `namespace/name`. */
export function podObject(key: string, pod: ShortPod): KubeObject {
  const [namespace = '', name = ''] = key.split('/')
  const [first] = pod.ip ?? []
  const node = pod.node ?? DEFAULT_NODE
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      annotations: {
        ...present(pod.role, 'iam.amazonaws.com/role'),
        ...present(pod.externalId, 'iam.amazonaws.com/external-id'),
        ...pod.annotations,
      },
      ...present(pod.labels, 'labels'),
    },
    spec: {
      nodeName: node,
      serviceAccountName: pod.serviceAccount ?? 'default',
      ...present(pod.hostNetwork, 'hostNetwork'),
      containers: [{ name: 'main', image: 'example/app' }],
    },
    status: {
      phase: pod.phase ?? 'Running',
      ...present(first, 'podIP'),
      ...present(
        pod.ip?.map((ip) => ({ ip })),
        'podIPs',
      ),
    },
  }
}

export function namespaceObject(
  name: string,
  { allowedRoles, annotations, labels }: ShortNamespace = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      annotations: {
        ...present(
          allowedRoles === undefined ? undefined : JSON.stringify(allowedRoles),
          'iam.amazonaws.com/allowed-roles',
        ),
        ...annotations,
      },
      labels: { 'kubernetes.io/metadata.name': name, ...labels },
    },
    status: { phase: 'Active' },
  }
}

export function serviceAccountObject(
  key: string,
  annotations: Readonly<Record<string, string>> = {},
): KubeObject {
  const [namespace = '', name = ''] = key.split('/')
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, annotations } }
}

export function nodeObject(name: string, address?: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    spec: {},
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: address === undefined ? [] : [{ type: 'InternalIP', address }],
    },
  }
}

/** `namespace/name`, or the name of what has no namespace. */
export const keyOf = ({ metadata }: KubeObject): string =>
  metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value deep inside an object; `undefined` where the way ends. */
export function dig(value: unknown, ...way: readonly (string | number)[]): unknown {
  return way.reduce<unknown>((inner, step) => {
    if (Array.isArray(inner) && typeof step === 'number') return inner[step]
    return isRecord(inner) && Object.hasOwn(inner, step) ? inner[String(step)] : undefined
  }, value)
}

export const digText = (value: unknown, ...way: readonly (string | number)[]): string | undefined => {
  const inner = dig(value, ...way)
  return typeof inner === 'string' ? inner : undefined
}

export const digList = (value: unknown, ...way: readonly (string | number)[]): readonly unknown[] => {
  const inner = dig(value, ...way)
  return Array.isArray(inner) ? inner : []
}

/** What the role annotation of a pod in short form says. */
export const roleAnnotation = ({ role, annotations }: ShortPod): string | undefined =>
  annotations?.['iam.amazonaws.com/role'] ?? role

/** Where a pod runs. */
export const nodeNameOf = (object: { readonly [key: string]: unknown }): string =>
  digText(object, 'spec', 'nodeName') ?? DEFAULT_NODE
