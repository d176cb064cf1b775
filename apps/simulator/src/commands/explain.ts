import { type PodIdentity, showable } from '@kube2iam-ts/core'
import { renderExplanation } from '@kube2iam-ts/role-policy'
import type { CheckSources } from '../check/inputs.ts'
import { readCheckInputs } from '../check/inputs.ts'
import {
  namespaceRecords,
  podOf,
  serviceAccountRecords,
  workloadKey,
  workloadsOf,
} from '../check/workloads.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { nearest, ProblemsError } from '../scenario/problem.ts'
import type { Terminal } from '../terminal.ts'
import { sayLeftOut } from './check.ts'

export interface ExplainCommand extends CheckSources {
  /** `namespace/name` of a pod or of a workload. */
  readonly pod: string
  /** The role that the pod asks for by name. */
  readonly requested: string | undefined
}

/** `kube2iam-sim explain`: the decision about one pod with every rule that was looked at; status 1 where it gets none. */
export async function explainCommand(command: ExplainCommand, terminal: Terminal): Promise<number> {
  const { objects, policy, judge, leftOut } = await readCheckInputs(command)
  sayLeftOut(leftOut, terminal)
  const pod = findPod(objects, command.pod)
  const explanation = policy.explain({
    pod,
    namespace: namespaceRecords(objects).get(pod.namespace) ?? { name: pod.namespace, annotations: {} },
    serviceAccount: serviceAccountRecords(objects).get(`${pod.namespace}/${pod.serviceAccount}`) ?? {
      namespace: pod.namespace,
      name: pod.serviceAccount,
      annotations: {},
    },
    requested: command.requested,
  })
  terminal.print(renderExplanation(explanation).trimEnd())
  const { decision } = explanation
  if (decision.kind !== 'granted') return 1
  const { grant } = decision
  terminal.print(`  session ${grant.sessionName}, ${grant.durationSeconds} s`)
  if (judge === undefined) {
    terminal.print('  trust policy: not looked at; give --iam and --node-role')
    return 0
  }
  if (!judge.knows(grant.role)) {
    terminal.print(`  x trust policy: no role ${grant.role.text} is in the IAM documents`)
    return 1
  }
  const judgement = judge.judge(grant)
  if (judgement.kind === 'issued') {
    terminal.print(`  + trust policy: STS would issue ${judgement.arn}`)
    return 0
  }
  const { code, message, notJudged } = judgement
  terminal.print(
    showable(
      notJudged.length > 0
        ? `  x trust policy: not judged, it hangs on what is not known here: ${notJudged.join('; ')}`
        : `  x trust policy: STS would refuse (${code}): ${message}`,
    ),
  )
  return 1
}

/** The pod of that name, or one that the workload of that name would make. */
function findPod(objects: readonly KubeObject[], key: string): PodIdentity {
  const workloads = workloadsOf(
    objects.map((object) => ({ ...object, metadata: { ...object.metadata, ownerReferences: [] } })),
  )
  const found = workloads.find(({ namespace, name }) => `${namespace}/${name}` === key)
  if (found !== undefined) return podOf(found)
  const names = workloads.map((workload) => workloadKey(workload).replace(/^\w+ /, ''))
  const near = nearest(key, names)
  throw new ProblemsError([
    {
      file: '--pod',
      line: 1,
      column: 1,
      path: '',
      message: `there is no pod or workload ${key}${near === undefined ? '' : `; did you mean ${near}?`}`,
    },
  ])
}
