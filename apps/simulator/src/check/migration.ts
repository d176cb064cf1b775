import type { KubeObject } from '../cluster/objects.ts'
import { findingText, shortRole } from './baseline.ts'
import type { Finding } from './check.ts'
import type { Workload } from './workloads.ts'
import { workloadKey, workloadsOf } from './workloads.ts'

/** What a cluster used before. */
export type MigrationSource = 'kiam' | 'node-role'

/** What to do about a workload before the agent takes over. */
export interface MigrationStep {
  readonly workload: string
  readonly before: string
  readonly after: string
  /** `undefined`: nothing has to be done. */
  readonly todo: string | undefined
}

export interface MigrationContext {
  /** The ARN of the nodes' role, where it is known. */
  readonly nodeRole: string | undefined
  /** As the agent is told. */
  readonly namespaceRestrictions: 'off' | 'audit' | 'enforce'
}

/**
 * What each workload had before, what it will get, and what has to be done about it.
 *
 * kiam: namespaces without `iam.amazonaws.com/permitted` allow nothing, and `iam.amazonaws.com/session-name` and
 * `external-id` annotations are the same. Node role: every pod has the node's role, whatever its annotations say.
 */
export function planMigration(
  from: MigrationSource,
  objects: readonly KubeObject[],
  findings: readonly Finding[],
  { nodeRole, namespaceRestrictions }: MigrationContext,
): readonly MigrationStep[] {
  const byWorkload = new Map(findings.map((finding) => [finding.workload, finding]))
  const permitted = new Map(
    objects
      .filter(({ kind }) => kind === 'Namespace')
      .map(({ metadata }) => [metadata.name, metadata.annotations?.['iam.amazonaws.com/permitted']]),
  )
  return workloadsOf(objects).flatMap((workload) => {
    const finding = byWorkload.get(workloadKey(workload))
    if (finding === undefined) return []
    const before =
      from === 'kiam'
        ? kiamBefore(workload, permitted.get(workload.namespace))
        : nodeRoleBefore(workload, nodeRole)
    return [
      {
        workload: finding.workload,
        before,
        after: findingText(finding),
        todo:
          from === 'kiam'
            ? kiamTodo(workload, permitted.get(workload.namespace), finding, namespaceRestrictions)
            : nodeTodo(workload, finding),
      },
    ]
  })
}

const ROLE = 'iam.amazonaws.com/role'

function kiamBefore({ annotations, hostNetwork }: Workload, permitted: string | undefined): string {
  if (hostNetwork) return 'the node’s role (host network)'
  const role = annotations[ROLE]
  if (role === undefined) return 'no role'
  if (permitted === undefined) return `denied: the namespace permits nothing (${role})`
  return kiamPermits(permitted, role) ? shortRole(role) : `denied: not permitted (${role})`
}

/** kiam's matching without --strict-namespace-regexp: the pattern may stand anywhere in the role. */
function kiamPermits(permitted: string, role: string): boolean {
  if (permitted === '') return false
  try {
    return new RegExp(permitted).test(role)
  } catch {
    return false
  }
}

function kiamTodo(
  { annotations, hostNetwork, namespace }: Workload,
  permitted: string | undefined,
  finding: Finding,
  restrictions: MigrationContext['namespaceRestrictions'],
): string | undefined {
  if (hostNetwork)
    return 'gets no role from the metadata service; give it the container credentials endpoint or take it off the host network'
  if (annotations[ROLE] === undefined) {
    return finding.outcome === 'ok'
      ? `will get ${shortRole(finding.role ?? '')} where it had none; is that meant?`
      : undefined
  }
  const instead = {
    off: 'turn on --namespace-restrictions',
    audit: 'audit only reports it, set --namespace-restrictions=enforce',
    enforce: `the annotations of namespace ${namespace} say so; is that meant?`,
  }[restrictions]
  if (permitted === undefined && finding.outcome === 'ok') {
    return `namespace ${namespace} permitted nothing under kiam and allows this now; ${instead}`
  }
  const had = permitted !== undefined && kiamPermits(permitted, annotations[ROLE])
  if (finding.outcome === 'ok') {
    return had || permitted === undefined
      ? undefined
      : `kiam did not permit this and it is allowed now; ${instead}`
  }
  if (!had) return undefined
  return finding.code === 'namespace-denied'
    ? `the pattern ${JSON.stringify(permitted)} has to match the whole role here; ${finding.message ?? ''}`
    : finding.message
}

const nodeRoleBefore = (_workload: Workload, nodeRole: string | undefined): string =>
  nodeRole === undefined ? 'the node’s role' : shortRole(nodeRole)

function nodeTodo({ hostNetwork }: Workload, finding: Finding): string | undefined {
  if (hostNetwork) return 'keeps reaching the node’s own metadata service'
  switch (finding.outcome) {
    case 'ok':
      return undefined
    case 'none':
      return 'annotate it with the role it needs, or give its namespace or the agent a default role'
    case 'denied':
    case 'refused':
      return finding.message
    default:
      return finding.outcome satisfies never
  }
}
