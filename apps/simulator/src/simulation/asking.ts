import { digText } from '../cluster/objects.ts'
import type { RequestPart } from '../scenario/scenario.ts'
import type { ReasonedAnswer } from './judge-answer.ts'
import { gotText } from './judge-answer.ts'
import { askAs } from './pod-client.ts'
import { podToken } from './pod-token.ts'
import type { Simulation } from './simulation.ts'
import { StepProblem } from './step-problem.ts'

/** The pods' side: sends their requests and remembers what each got. */
export interface Asking {
  /** Sends, and lets time pass until every answer is there. */
  ask(request: RequestPart): Promise<readonly ReasonedAnswer[]>
  /** Sends, and lets it run. */
  begin(request: RequestPart): void
  /** The answer of the pod's request that was begun. */
  answerOf(pod: string): Promise<readonly ReasonedAnswer[]>
  readonly requests: number
}

export function createAsking(simulation: Simulation): Asking {
  const background = new Map<string, Promise<readonly ReasonedAnswer[]>>()
  const last = new Map<string, string>()
  let requests = 0

  const send = async (request: RequestPart): Promise<ReasonedAnswer> => {
    const key = request.pod.value
    const pod = simulation.pod(key)
    const source = request.from ?? digText(pod, 'status', 'podIP')
    if (pod === undefined || source === undefined) {
      throw new StepProblem(`${key} has no address to ask from; give it an ip, or say from`)
    }
    const uid = pod.metadata.uid ?? ''
    const hostNetwork = (pod['spec'] as { hostNetwork?: boolean } | undefined)?.hostNetwork === true
    requests += 1
    const token = podToken(pod.metadata.namespace ?? '', uid)
    simulation.api.addToken(token, {
      username: `system:serviceaccount:${pod.metadata.namespace}:${digText(pod, 'spec', 'serviceAccountName')}`,
      extra: {
        'authentication.kubernetes.io/pod-name': [pod.metadata.name],
        'authentication.kubernetes.io/pod-uid': [uid],
      },
    })
    const node = simulation.nodeOf(key)
    const answer = await askAs(request, {
      clock: simulation.clock,
      node,
      source,
      hostNetwork,
      session: (accessKeyId) => simulation.sts.session(accessKeyId),
      serviceAccountToken: token,
      onAnswer: (seen) => simulation.invariants.answered({ pod: key, uid, hostNetwork, answer: seen }),
    })
    const reasoned = { answer, reasons: simulation.reasons.take(source), before: last.get(uid) }
    if (answer.credentials !== undefined) last.set(uid, answer.credentials.accessKeyId)
    simulation.tell('pod', `${key} (${source}): ${gotText(reasoned)}`)
    return reasoned
  }

  const sendAll = (request: RequestPart): Promise<readonly ReasonedAnswer[]> =>
    Promise.all(Array.from({ length: request.concurrent ?? 1 }, () => send(request)))

  return {
    get requests() {
      return requests
    },
    ask: (request) => simulation.pump(sendAll(request), `the request of ${request.pod.value}`),
    begin(request) {
      const answers = sendAll(request)
      answers.catch(() => {})
      background.set(request.pod.value, answers)
    },
    answerOf(pod) {
      const answers = background.get(pod)
      if (answers === undefined) throw new StepProblem(`${pod} has no request under way`)
      background.delete(pod)
      return simulation.pump(answers, `the request of ${pod}`)
    },
  }
}
