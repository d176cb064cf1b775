import {
  type IpAddress,
  type NamespaceRecord,
  type PodIdentity,
  type PodPhase,
  type ServiceAccountRecord,
  toIpAddress,
} from '@kube2iam-ts/core'

/** Reduces a pod's JSON to what the agent keeps; `undefined` for what is no pod. */
export type Reduce<Item> = (object: unknown) => Item | undefined

/**
 * How long a value may be to be kept. A role's ARN has at most 600 characters and an external ID 1,224; session tags and
 * a namespace's list of roles are longer. Kubernetes takes 256 KiB on one object, and an object costs its author nothing.
 */
const LONGEST_VALUE = 4096
const LONGEST_NAMESPACE_VALUE = 65_536

const NO_ANNOTATIONS: Readonly<Record<string, string>> = Object.freeze({})
const PHASES = new Set<string>(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'])

/** Makes the reducer of pods; of their annotations only the named ones are kept. */
export function podReducer(annotationKeys: readonly string[]): Reduce<PodIdentity> {
  const intern = createInterner()
  return (object) => {
    const { metadata, spec, status } = object as PodJson
    if (metadata?.uid === undefined || metadata.name === undefined || metadata.namespace === undefined)
      return undefined
    const phase = status?.phase
    return {
      uid: metadata.uid,
      namespace: intern(metadata.namespace),
      name: metadata.name,
      serviceAccount: intern(spec?.serviceAccountName ?? 'default'),
      node: intern(spec?.nodeName ?? ''),
      addresses: addressesOf(status),
      hostNetwork: spec?.hostNetwork === true,
      phase: phase !== undefined && PHASES.has(phase) ? (phase as PodPhase) : 'Unknown',
      createdAt: new Date(metadata.creationTimestamp ?? 0),
      deletedAt: metadata.deletionTimestamp === undefined ? undefined : new Date(metadata.deletionTimestamp),
      sandboxSeconds: sandboxSecondsOf(status),
      annotations: pick(metadata.annotations, annotationKeys, LONGEST_VALUE),
    }
  }
}

/** Makes the reducer of namespaces, from whole objects or from metadata alone. */
export function namespaceReducer(annotationKeys: readonly string[]): Reduce<NamespaceRecord> {
  return (object) => {
    const { metadata } = object as PodJson
    if (metadata?.name === undefined) return undefined
    return {
      name: metadata.name,
      annotations: pick(metadata.annotations, annotationKeys, LONGEST_NAMESPACE_VALUE),
    }
  }
}

/** Makes the reducer of service accounts, from whole objects or from metadata alone. */
export function serviceAccountReducer(annotationKeys: readonly string[]): Reduce<ServiceAccountRecord> {
  const intern = createInterner()
  return (object) => {
    const { metadata } = object as PodJson
    if (metadata?.name === undefined || metadata.namespace === undefined) return undefined
    return {
      namespace: intern(metadata.namespace),
      name: metadata.name,
      annotations: pick(metadata.annotations, annotationKeys, LONGEST_VALUE),
    }
  }
}

/** The part of the JSON that is read. Everything is optional: the text came over a wire. */
interface PodJson {
  readonly metadata?: {
    readonly uid?: string
    readonly namespace?: string
    readonly name?: string
    readonly creationTimestamp?: string
    readonly deletionTimestamp?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec?: {
    readonly nodeName?: string
    readonly serviceAccountName?: string
    readonly hostNetwork?: boolean
  }
  readonly status?: {
    readonly phase?: string
    readonly podIP?: string
    readonly podIPs?: readonly { readonly ip?: string }[]
    readonly conditions?: readonly {
      readonly type?: string
      readonly status?: string
      readonly lastTransitionTime?: string | null
    }[]
  }
}

function addressesOf(status: PodJson['status']): IpAddress[] {
  const texts = [...(status?.podIPs ?? []).map(({ ip }) => ip), status?.podIP]
  const addresses = texts.flatMap((text) => (text ? (toIpAddress(text) ?? []) : []))
  return addresses.length < 2 ? addresses : [...new Set(addresses)]
}

/** Container starts would not do: a container that crashes starts anew in the same sandbox, with the same network. */
function sandboxSecondsOf(status: PodJson['status']): number | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'PodReadyToStartContainers')
  if (ready?.status !== 'True') return undefined
  const at = Date.parse(ready.lastTransitionTime ?? '')
  return Number.isNaN(at) ? undefined : Math.floor(at / 1000)
}

function pick(
  annotations: Readonly<Record<string, string>> | undefined,
  keys: readonly string[],
  longest: number,
): Readonly<Record<string, string>> {
  if (annotations === undefined) return NO_ANNOTATIONS
  let picked: Record<string, string> | undefined
  for (const key of keys) {
    const value = Object.hasOwn(annotations, key) ? annotations[key] : undefined
    if (typeof value !== 'string') continue
    picked ??= {}
    picked[key] = value.length > longest ? tooLong(longest) : value
  }
  return picked ?? NO_ANNOTATIONS
}

/**
 * What takes the place of a value that is too long. It must end as a denial: a value cut short, or left out, might mean
 * another role or no restriction. This is no role, no external ID, no JSON and, by its first character, no regular
 * expression.
 */
const tooLong = (longest: number): string => `** longer than ${longest} characters **`

/** One copy of each text that many pods share, bounded: a cluster has few nodes, namespaces and service accounts. */
function createInterner(limit = 10_000): (text: string) => string {
  const known = new Map<string, string>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    if (known.size >= limit) known.clear()
    known.set(text, text)
    return text
  }
}
