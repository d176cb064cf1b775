import type { BaseArn } from '@kube2iam-ts/core'
import type { PolicyRule, PolicySettings } from '@kube2iam-ts/role-policy'
import type { AgentSettings } from './settings/settings.ts'

/** What is known of the node's own role so far. */
export interface Discovered {
  readonly base: BaseArn | undefined
  readonly role: string | undefined
  /** Still being asked for: decisions that need it wait. */
  readonly pending: boolean
}

/** What is asked for unless told: all that STS grants to a session that is made by another session. */
const HOUR_SECONDS = 3_600
/** What STS grants at most to anybody. What it grants to the role at hand is learnt from STS. */
const LONGEST_SECONDS = 43_200

/** The policy's settings out of the agent's, and what was found out from the metadata service. */
export function policySettings(
  settings: AgentSettings,
  rules: readonly PolicyRule[],
  discovered: Discovered,
): PolicySettings {
  const base = settings.autoDiscoverDefaultRole ? discovered.base : (settings.baseRoleArn ?? discovered.base)
  const wantsRole = settings.autoDiscoverDefaultRole
  return {
    base,
    basePending: discovered.pending && base === undefined,
    defaultRole: wantsRole ? discovered.role : settings.defaultRole,
    defaultRolePending: wantsRole && discovered.role === undefined,
    annotations: {
      role: settings.iamRoleKey,
      externalId: settings.iamExternalId,
      sessionName: settings.sessionNameKey,
      sessionTags: settings.sessionTagsKey,
      serviceAccountRole: settings.serviceAccountRoles ? settings.serviceAccountRoleKeys[0] : undefined,
      namespaceRole: settings.namespaceDefaultRoleKey,
      allowedRoles: settings.namespaceKey,
      permitted: settings.namespacePermittedKey,
    },
    namespaceRestrictions: settings.namespaceRestrictions,
    namespaceRestrictionFormat: settings.namespaceRestrictionFormat,
    rules,
    session: {
      scope: settings.sessionScope,
      durationSeconds: durationSeconds(settings),
      maxDurationSeconds: LONGEST_SECONDS,
      tags: settings.sessionTags,
      transitiveTags: settings.sessionTransitiveTags,
      clusterName: settings.clusterName,
      policyArns: settings.sessionPolicyArns,
      sourceIdentity: settings.sourceIdentity === 'none' ? undefined : settings.sourceIdentity,
    },
  }
}

/** kube2iam asks STS for twice the TTL that it is given; less than an hour is less than SDKs can work with. */
function durationSeconds({ sessionDuration, iamRoleSessionTtl }: AgentSettings): number {
  if (sessionDuration !== undefined) return Math.floor(sessionDuration / 1_000)
  return Math.max(HOUR_SECONDS, Math.floor(((iamRoleSessionTtl ?? 0) * 2) / 1_000))
}
