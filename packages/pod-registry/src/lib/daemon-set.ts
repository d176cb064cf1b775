import { isCoded } from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import { readJson } from './read-json.ts'

/** One condition of a node selector term, as Kubernetes writes it. */
export interface NodeRequirement {
  readonly key: string
  /** `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`: whatever the API server said. */
  readonly operator: string
  readonly values?: readonly string[]
}

export interface NodeSelectorTerm {
  /** Of labels. */
  readonly matchExpressions?: readonly NodeRequirement[]
  /** Of fields of the node: `metadata.name`. */
  readonly matchFields?: readonly NodeRequirement[]
}

/** Which nodes a DaemonSet's pod template asks for. */
export interface NodePlacement {
  /** Each label must be there with that value. */
  readonly nodeSelector: Readonly<Record<string, string>>
  /** One of the terms must hold; `undefined` where no node affinity is required. */
  readonly requiredTerms: readonly NodeSelectorTerm[] | undefined
}

/** Whether a DaemonSet still exists. */
export type DaemonSetState =
  | {
      readonly kind: 'present'
      readonly uid: string
      /** Absent where the API server showed no pod template. */
      readonly placement?: NodePlacement
    }
  /** It is being deleted: its pods are going, and no new ones come. */
  | { readonly kind: 'deleting'; readonly uid: string }
  | { readonly kind: 'absent' }

/** Reads one DaemonSet: how an agent tells that it is uninstalled from that it is restarted. */
export interface DaemonSetReader {
  read(namespace: string, name: string, signal?: AbortSignal): Promise<DaemonSetState>
}

/** Needs `get` of that `daemonsets.apps`. */
export function createDaemonSetReader({ connection }: { connection: ApiConnection }): DaemonSetReader {
  return {
    async read(namespace, name, signal) {
      const path = `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/daemonsets/${encodeURIComponent(name)}`
      try {
        const answer = await readJson(connection, { method: 'GET', path, ...(signal && { signal }) })
        const { metadata, spec } = answer as DaemonSetJson
        const uid = metadata?.uid ?? ''
        if (metadata?.deletionTimestamp !== undefined) return { kind: 'deleting', uid }
        const pod = spec?.template?.spec
        return { kind: 'present', uid, ...(pod && { placement: placementOf(pod) }) }
      } catch (error) {
        if (isCoded(error, 'CLUSTER_NOT_FOUND')) return { kind: 'absent' }
        throw error
      }
    },
  }
}

const placementOf = ({ nodeSelector, affinity }: PodTemplateJson): NodePlacement => {
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return {
    nodeSelector: nodeSelector ?? {},
    requiredTerms: required && (required.nodeSelectorTerms ?? []),
  }
}

interface DaemonSetJson {
  readonly metadata?: { readonly uid?: string; readonly deletionTimestamp?: string }
  readonly spec?: { readonly template?: { readonly spec?: PodTemplateJson } }
}

interface PodTemplateJson {
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly affinity?: {
    readonly nodeAffinity?: {
      readonly requiredDuringSchedulingIgnoredDuringExecution?: {
        readonly nodeSelectorTerms?: readonly NodeSelectorTerm[]
      }
    }
  }
}
