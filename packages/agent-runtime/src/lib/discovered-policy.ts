import type { Clock, Random, Report } from '@kube2iam-ts/core'
import type { Upstream } from '@kube2iam-ts/metadata-emulator'
import { createPolicy, type Policy, type PolicyRule } from '@kube2iam-ts/role-policy'
import { type DiscoveryEvent, discoverNodeRole } from './discovery.ts'
import { type Discovered, policySettings } from './policy-settings.ts'
import type { AgentSettings } from './settings/settings.ts'

export interface DiscoveredPolicyOptions {
  readonly settings: AgentSettings
  readonly rules?: readonly PolicyRule[] | undefined
  readonly upstream: Upstream
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<DiscoveryEvent>
  /** There is another policy now. */
  readonly onChange: () => void
}

/** The policy, which is made anew when the metadata service has said what short role names mean. */
export interface DiscoveredPolicy {
  current(): Policy
  /** Whether something that settings insist on is not known yet. */
  missing(): boolean
  /** Asks until it is answered or the signal is aborted. Returns at once where nothing has to be asked. */
  discover(signal: AbortSignal): Promise<void>
}

export function createDiscoveredPolicy(options: DiscoveredPolicyOptions): DiscoveredPolicy {
  const { settings, rules = settings.rules, onChange } = options
  const wanted =
    settings.autoDiscoverDefaultRole ||
    (settings.baseRoleArn === undefined && settings.autoDiscoverBaseArn !== false)
  const insisted = settings.autoDiscoverDefaultRole || settings.autoDiscoverBaseArn === true
  let discovered: Discovered = { base: undefined, role: undefined, pending: wanted }
  let policy = createPolicy(policySettings(settings, rules, discovered))

  function learn(next: Discovered): void {
    discovered = next
    policy = createPolicy(policySettings(settings, rules, next))
    onChange()
  }

  return {
    current: () => policy,
    missing: () => insisted && discovered.base === undefined,
    async discover(signal) {
      if (!wanted) return
      const found = await discoverNodeRole(
        {
          ...options,
          wantRole: settings.autoDiscoverDefaultRole,
          onMiss() {
            // Where nobody insists, a short role name is refused from now on instead of keeping pods waiting.
            if (!insisted && discovered.pending) learn({ ...discovered, pending: false })
          },
        },
        signal,
      )
      learn({ ...found, pending: false })
    },
  }
}
