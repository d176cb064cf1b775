import type { PodRegistry } from '@kube2iam-ts/pod-registry'
import type { PartState } from './health.ts'

/** What it means that nothing is heard of them. */
const SILENCE = {
  pods: ['pods', 'new pods get no credentials'],
  namespaces: ['namespaces', 'which roles they allow may have changed'],
  serviceAccounts: ['service accounts', 'which roles they name may have changed'],
} as const

/** Whether what is known of the cluster is current: of every kind, because each of them decides about roles. */
export function watchState(registry: Pick<PodRegistry, 'freshness' | 'sizes'>): PartState {
  const { synced, feeds } = registry.freshness()
  if (!synced) return { ok: false, reason: 'the API server has not answered yet; the log says why' }
  const silent = (['pods', 'namespaces', 'serviceAccounts'] as const).flatMap((feed) => {
    const { stale, ageMs } = feeds[feed] ?? { stale: false, ageMs: 0 }
    const [what, therefore] = SILENCE[feed]
    const seconds = Math.round(ageMs / 1_000)
    return stale ? [`nothing was heard of the ${what} for ${seconds} s: ${therefore}`] : []
  })
  if (silent.length > 0) return { ok: false, reason: silent.join('; ') }
  return { ok: true, reason: `${registry.sizes().pods} pods are known` }
}
