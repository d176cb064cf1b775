import type { Violation } from '../output/run-result.ts'
import type { ScenarioFile } from '../scenario/scenario.ts'
import { formatDuration } from '../scenario/shape.ts'
import type { SeenAnswer } from './seen.ts'
import { isNodeSecret } from './seen.ts'
import type { Truth } from './truth.ts'

export interface InvariantsOptions {
  readonly wanted: NonNullable<ScenarioFile['invariants']>
  readonly truth: Truth
  /** True time, in milliseconds since the epoch. */
  readonly now: () => number
  readonly atMs: () => number
  readonly onViolation: (violation: Violation) => void
}

export interface AnswerToPod {
  readonly pod: string
  readonly uid: string
  readonly hostNetwork: boolean
  readonly answer: SeenAnswer
}

/** What must hold throughout; the first breach of each kind by each pod is told. */
export interface Invariants {
  answered(seen: AnswerToPod): void
  stsCalled(): void
}

export function createInvariants({ wanted, truth, now, atMs, onViolation }: InvariantsOptions): Invariants {
  const told = new Set<string>()
  let calls = 0
  let recent: number[] = []
  const tell = (invariant: string, about: string, message: string): void => {
    const key = `${invariant} ${about}`
    if (told.has(key)) return
    told.add(key)
    onViolation({ invariant, atMs: atMs(), message })
  }

  return {
    answered({ pod, uid, hostNetwork, answer }) {
      const { body, credentials, from } = answer
      // Host-network pods are the node's own processes to the kernel: no rule of the agent's touches them.
      if (wanted['no-node-role'] !== false && !hostNetwork && isNodeSecret(body)) {
        tell('no-node-role', pod, `pod ${pod} was shown a secret of its node (answered by the ${from})`)
      }
      if (credentials === undefined || from !== 'agent') return
      const { session, accessKeyId, expiration } = credentials
      if (wanted['no-foreign-identity'] !== false) {
        if (session === undefined) {
          if (!isNodeSecret(body))
            tell(
              'no-foreign-identity',
              pod,
              `pod ${pod} got credentials ${accessKeyId} that STS never issued`,
            )
        } else if (!truth.owns(uid, session.grant)) {
          const { externalId } = session.grant
          const withId = externalId === undefined ? 'no external ID' : `external ID ${externalId}`
          tell(
            'no-foreign-identity',
            pod,
            `pod ${pod} got ${session.assumedRoleArn} (${withId}), which was never its own`,
          )
        }
      }
      const least = wanted['min-life']
      const left = expiration.getTime() - now()
      if (least !== undefined && left < least) {
        tell(
          'min-life',
          pod,
          `pod ${pod} got credentials that live ${formatDuration(Math.round(left / 1000) * 1000)} more, less than ${formatDuration(least)}`,
        )
      }
    },
    stsCalled() {
      calls += 1
      const most = wanted['max-sts-calls']
      if (most !== undefined && calls > most) tell('max-sts-calls', '', `more than ${most} calls to STS`)
      const rate = wanted['max-sts-rate']
      if (rate === undefined) return
      const since = atMs() - 1000
      recent = [...recent.filter((at) => at > since), atMs()]
      if (recent.length > rate)
        tell('max-sts-rate', '', `${recent.length} calls to STS within a second, more than ${rate}`)
    },
  }
}
