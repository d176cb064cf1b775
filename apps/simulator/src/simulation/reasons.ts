import type { LogFields } from '@kube2iam-ts/agent-runtime'

/** Why the agent refused, as it tells its operator: pods are told as little as the metadata service would. */
export interface Reasons {
  note(message: string, fields: LogFields): void
  /** Of the last request from the address: the outcome, and the policy's finer code where there is one. */
  take(address: string): readonly string[]
}

/** Which of the emulator's outcomes stands for a denial of the policy. */
const DENIED = new Set(['no-role', 'role-mismatch', 'annotation-invalid', 'namespace-denied'])

export function createReasons(): Reasons {
  const outcomes = new Map<string, { outcome: string; pod: string | undefined }>()
  /** The last denial of each pod. The log repeats itself once a minute at most, so it is remembered. */
  const denials = new Map<string, string>()
  return {
    note(message, { peer, outcome, pod, code }) {
      const name = typeof pod === 'string' ? pod : undefined
      if (message === 'request' && typeof peer === 'string' && typeof outcome === 'string') {
        outcomes.set(peer, { outcome, pod: name })
      } else if (message === 'role denied' && name !== undefined && typeof code === 'string') {
        denials.set(name, code)
      }
    },
    take(address) {
      const known = outcomes.get(address)
      outcomes.delete(address)
      if (known === undefined) return []
      const { outcome, pod } = known
      const denial = pod === undefined || !DENIED.has(outcome) ? undefined : denials.get(pod)
      return denial === undefined || denial === outcome ? [outcome] : [outcome, denial]
    },
  }
}
