import { isCoded } from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import { readJson } from './read-json.ts'

/** Whether a DaemonSet still exists. */
export type DaemonSetState =
  | { readonly kind: 'present'; readonly uid: string }
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
        const { metadata } = answer as { metadata?: { uid?: string; deletionTimestamp?: string } }
        const uid = metadata?.uid ?? ''
        return metadata?.deletionTimestamp === undefined
          ? { kind: 'present', uid }
          : { kind: 'deleting', uid }
      } catch (error) {
        if (isCoded(error, 'CLUSTER_NOT_FOUND')) return { kind: 'absent' }
        throw error
      }
    },
  }
}
