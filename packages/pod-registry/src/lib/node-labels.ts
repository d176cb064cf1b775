import type { ApiConnection } from './api-connection.ts'
import { readJson } from './read-json.ts'

/** Reads the labels of one node: by them a DaemonSet chooses its nodes. */
export interface NodeLabelsReader {
  /** `undefined` where the API server showed none. Rejects with a `ClusterCallCode`. */
  read(node: string, signal?: AbortSignal): Promise<Readonly<Record<string, string>> | undefined>
}

/** Needs `get` of nodes. */
export function createNodeLabelsReader({ connection }: { connection: ApiConnection }): NodeLabelsReader {
  return {
    async read(node, signal) {
      const path = `/api/v1/nodes/${encodeURIComponent(node)}`
      const answer = await readJson(connection, { method: 'GET', path, ...(signal && { signal }) })
      const { metadata } = answer as { metadata?: { labels?: Readonly<Record<string, string>> } }
      return metadata?.labels
    },
  }
}
