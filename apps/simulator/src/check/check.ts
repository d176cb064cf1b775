import type { Decision, Policy } from '@kube2iam-ts/role-policy'
import type { StsJudge } from '../aws/sts-judgement.ts'
import type { KubeObject } from '../cluster/objects.ts'
import type { Workload } from './workloads.ts'
import { namespaceRecords, podOf, serviceAccountRecords, workloadKey, workloadsOf } from './workloads.ts'

/** What one workload will get. */
export interface Finding {
  /** `Deployment shop/web`. */
  readonly workload: string
  /** The role's ARN; `undefined`: none. */
  readonly role: string | undefined
  /** Where the role comes from: pod, service-account, namespace-default or default. */
  readonly source: string | undefined
  /** `ok`: credentials; `none`: no role, and none was asked for; `denied`: refused before STS; `refused`: by STS. */
  readonly outcome: 'ok' | 'none' | 'denied' | 'refused'
  /** The policy's denial code, or STS's error code. */
  readonly code: string | undefined
  /** Why, for a person. */
  readonly message: string | undefined
  readonly externalId: string | undefined
  readonly durationSeconds: number | undefined
  readonly warnings: readonly string[]
}

/** The code of a finding whose trust policy could not be judged; it counts as refused. */
export const NOT_JUDGED = 'NotJudged'

export interface CheckInput {
  readonly objects: readonly KubeObject[]
  readonly policy: Policy
  /** `undefined` where no IAM documents are known: trust is then not judged. */
  readonly judge: StsJudge | undefined
  /** Changes what is decided about a workload, for plans of a migration. */
  readonly adapt?: (workload: Workload) => Workload
}

/** What every workload will get, in the order of their names. Pure. */
export function checkWorkloads({
  objects,
  policy,
  judge,
  adapt = (workload) => workload,
}: CheckInput): readonly Finding[] {
  const namespaces = namespaceRecords(objects)
  const serviceAccounts = serviceAccountRecords(objects)
  return workloadsOf(objects)
    .map(adapt)
    .map((workload) => {
      const { namespace, serviceAccount } = workload
      const decision = policy.decide({
        pod: podOf(workload),
        namespace: namespaces.get(namespace) ?? { name: namespace, annotations: {} },
        serviceAccount: serviceAccounts.get(`${namespace}/${serviceAccount}`) ?? {
          namespace,
          name: serviceAccount,
          annotations: {},
        },
        requested: undefined,
      })
      return findingOf(workload, decision, judge)
    })
}

function findingOf(workload: Workload, decision: Decision, judge: StsJudge | undefined): Finding {
  const base = {
    workload: workloadKey(workload),
    role: undefined,
    source: undefined,
    code: undefined,
    message: undefined,
    externalId: undefined,
    durationSeconds: undefined,
    warnings: [],
  }
  switch (decision.kind) {
    case 'wait':
      return {
        ...base,
        outcome: 'denied',
        code: `unknown-${decision.for}`,
        message: `the ${decision.for} is not known here; set --base-role-arn, as the agent would find it out from the metadata service`,
      }
    case 'denied': {
      const { code, message, role } = decision
      return { ...base, role, outcome: code === 'no-role' ? 'none' : 'denied', code, message }
    }
    case 'granted': {
      const { grant, role, source, warnings, wouldDeny } = decision
      const granted = {
        ...base,
        role: role.text,
        source,
        externalId: grant.externalId,
        durationSeconds: grant.durationSeconds,
        warnings: [
          ...warnings,
          ...wouldDeny.map(({ code, message }) => `enforce would deny (${code}): ${message}`),
        ],
      }
      if (judge === undefined) return { ...granted, outcome: 'ok' }
      if (!judge.knows(role)) {
        return {
          ...granted,
          outcome: 'refused',
          code: 'NoSuchRole',
          message: `no role ${role.text} is in the IAM documents`,
        }
      }
      const judgement = judge.judge(grant)
      if (judgement.kind === 'issued') return { ...granted, outcome: 'ok' }
      const { code, message, notJudged } = judgement
      if (notJudged.length === 0) return { ...granted, outcome: 'refused', code, message }
      // What nobody can know here is no reason to say that all is well.
      return {
        ...granted,
        outcome: 'refused',
        code: NOT_JUDGED,
        message: `the trust policy hangs on what is not known here: ${notJudged.join('; ')}`,
      }
    }
    default:
      return decision satisfies never
  }
}
