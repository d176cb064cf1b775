import {
  type BaseArn,
  CodedError,
  isShortRoleName,
  type PodIdentity,
  type RoleArn,
  resolveRole,
} from '@kube2iam-ts/core'
import type { Context, Stop } from './context.ts'
import type { DecisionInput, RoleSource } from './decision.ts'
import { quote, refuse, shown, waitFor } from './refuse.ts'
import type { Trace } from './trace.ts'

export interface ChosenRole {
  readonly kind: 'role'
  readonly role: RoleArn
  readonly source: RoleSource
  /** Whether it is the cluster's default role, however it was named. */
  readonly isDefault: boolean
}

interface NamedRole {
  readonly kind: 'named'
  readonly text: string
  readonly source: RoleSource
  /** Where it is written, for messages. */
  readonly where: string
}

/** The pod's own role: from the first place that names one, which must then be right. */
export function chooseRole(context: Context, input: DecisionInput, trace: Trace): ChosenRole | Stop {
  const named = nameRole(context, input, trace)
  if (named.kind !== 'named') return named
  const { pod } = input
  if (named.text === '') {
    trace('role syntax', 'failed', () => `${named.where} is empty`)
    return refuse('annotation-empty', pod, `${named.where} is empty; name a role there or remove it`)
  }
  const { base, basePending, defaultRole } = context.settings
  if (base === undefined && isShortRoleName(named.text)) {
    if (basePending) {
      trace('role syntax', 'waiting', () => 'a short name, and the base ARN is being discovered')
      return waitFor('base-arn')
    }
    trace('role syntax', 'failed', () => `${quote(named.text)} is a short name, and no base ARN is known`)
    return refuse(
      'base-arn-missing',
      pod,
      `${named.where} is the short name ${quote(named.text)}, and no base ARN is known to complete it; write the full ARN, set --base-role-arn, or let --auto-discover-base-arn find it`,
      named.text,
    )
  }
  try {
    const role = resolveRole(named.text, base)
    trace('role syntax', 'passed', () => `${quote(named.text)} means ${role.text}`)
    const isDefault = defaultRole !== undefined && isSame(role, defaultRole, base)
    return { kind: 'role', role, source: named.source, isDefault }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    trace('role syntax', 'failed', () => error.message)
    return refuse(
      'annotation-invalid',
      pod,
      `${named.where} cannot be used: ${error.message}`,
      shown(named.text),
    )
  }
}

function nameRole({ keys, settings }: Context, input: DecisionInput, trace: Trace): NamedRole | Stop {
  const { pod, namespace, serviceAccount } = input
  const look = (rule: string, source: RoleSource, where: string, text: string | undefined) => {
    trace(rule, text === undefined ? 'skipped' : 'chosen', () =>
      text === undefined ? `${where} is not set` : `${where} is ${quote(text)}`,
    )
    return text === undefined ? undefined : ({ kind: 'named', text, source, where } as const)
  }

  const own = look('pod annotation', 'pod', `annotation ${keys.role}`, pod.annotations[keys.role])
  if (own !== undefined) return own

  if (keys.serviceAccountRole !== undefined) {
    const where = `annotation ${keys.serviceAccountRole} of service account ${pod.serviceAccount}`
    if (serviceAccount === undefined) {
      trace(
        'service account annotation',
        'waiting',
        () => `service account ${pod.serviceAccount} is not known yet`,
      )
      return waitFor('service-account')
    }
    const text = serviceAccount.annotations[keys.serviceAccountRole]
    const found = look('service account annotation', 'service-account', where, text)
    if (found !== undefined) return found
  }

  if (keys.namespaceRole !== undefined) {
    const where = `annotation ${keys.namespaceRole} of namespace ${pod.namespace}`
    if (namespace === undefined) {
      trace('namespace default', 'waiting', () => `namespace ${pod.namespace} is not known yet`)
      return waitFor('namespace')
    }
    const text = namespace.annotations[keys.namespaceRole]
    const found = look('namespace default', 'namespace-default', where, text)
    if (found !== undefined) return found
  }

  if (settings.defaultRole === undefined && settings.defaultRolePending) {
    trace('default role', 'waiting', () => 'the default role is being discovered')
    return waitFor('default-role')
  }
  const fallback = look('default role', 'default', 'the default role (--default-role)', settings.defaultRole)
  if (fallback !== undefined) return fallback
  return refuse('no-role', pod, noRole(pod, keys.role))
}

const noRole = (pod: PodIdentity, key: string): string =>
  `it names no role, and there is no default for namespace ${pod.namespace} or for the cluster; add the annotation ${key} to the pod`

function isSame(role: RoleArn, text: string, base: BaseArn | undefined): boolean {
  try {
    return resolveRole(text, base).text === role.text
  } catch {
    return false
  }
}

/** Whether a request names the pod's own role: by name, by path and name, by ARN, or as an annotation would. */
export function isOwnRole(role: RoleArn, requested: string, base: BaseArn | undefined): boolean {
  if (requested === role.name || requested === role.text || requested === role.path + role.name) return true
  return requested === (role.path + role.name).slice(1) || isSame(role, requested, base)
}
