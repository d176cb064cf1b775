import { isCoded } from '@kube2iam-ts/core'
import type { ApiConnection } from './api-connection.ts'
import { readJson } from './read-json.ts'

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
}

/** The taints of a node: what keeps pods off it until the agent is ready. */
export interface NodeTaints {
  read(node: string, signal?: AbortSignal): Promise<readonly Taint[]>
  /** Removes every taint with the key, and says whether there was one. */
  remove(node: string, key: string, signal?: AbortSignal): Promise<'removed' | 'absent'>
  /** Adds the taint, or changes the one with its key and effect. */
  add(node: string, taint: Taint, signal?: AbortSignal): Promise<'added' | 'present'>
}

/** How often another writer may come between before it is given up. */
const ATTEMPTS = 5

/** Needs `get` and `patch` of nodes. */
export function createNodeTaints({ connection }: { connection: ApiConnection }): NodeTaints {
  return {
    read: async (node, signal) => (await state(node, signal)).taints,
    async remove(node, key, signal) {
      const isChanged = await change(node, signal, (taints) => {
        const left = taints.filter((taint) => taint.key !== key)
        return left.length === taints.length ? undefined : left
      })
      return isChanged ? 'removed' : 'absent'
    },
    async add(node, taint, signal) {
      const isChanged = await change(node, signal, (taints) => {
        const same = (other: Taint): boolean => other.key === taint.key && other.effect === taint.effect
        if (taints.some((other) => same(other) && other.value === taint.value)) return undefined
        return [...taints.filter((other) => !same(other)), taint]
      })
      return isChanged ? 'added' : 'present'
    },
  }

  /** Reads, changes and writes back under the version that was read, so that nobody's taint is lost. */
  async function change(
    node: string,
    signal: AbortSignal | undefined,
    edit: (taints: readonly Taint[]) => readonly Taint[] | undefined,
  ): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      const { taints, resourceVersion } = await state(node, signal)
      const edited = edit(taints)
      if (edited === undefined) return false
      try {
        await readJson(connection, {
          method: 'PATCH',
          path: pathOf(node),
          headers: { 'content-type': 'application/merge-patch+json' },
          body: JSON.stringify({ metadata: { resourceVersion }, spec: { taints: edited } }),
          ...(signal && { signal }),
        })
        return true
      } catch (error) {
        if (attempt >= ATTEMPTS || !isCoded(error, 'CLUSTER_CONFLICT')) throw error
      }
    }
  }

  async function state(node: string, signal: AbortSignal | undefined) {
    const answer = await readJson(connection, {
      method: 'GET',
      path: pathOf(node),
      ...(signal && { signal }),
    })
    const { metadata, spec } = answer as {
      metadata?: { resourceVersion?: string }
      spec?: { taints?: Taint[] }
    }
    return { taints: spec?.taints ?? [], resourceVersion: metadata?.resourceVersion }
  }
}

const pathOf = (node: string): string => `/api/v1/nodes/${encodeURIComponent(node)}`
