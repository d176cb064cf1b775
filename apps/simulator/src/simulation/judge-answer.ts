import type { BaseArn } from '@kube2iam-ts/core'
import { resolveRole } from '@kube2iam-ts/core'
import type { Expectation } from '../scenario/scenario.ts'
import { formatDuration } from '../scenario/shape.ts'
import type { SeenAnswer } from './seen.ts'
import { isOf } from './seen.ts'
import { NODE_CANARY } from './simulated-instance.ts'

/** A pod's answer with the reason that the agent gave its operator. */
export interface ReasonedAnswer {
  readonly answer: SeenAnswer
  /** What the emulator called the outcome, and the policy's finer code. */
  readonly reasons: readonly string[]
  /** What the pod got the last time. */
  readonly before: string | undefined
}

export interface JudgeContext {
  readonly base: BaseArn
  /** True time. */
  readonly now: number
}

/** What was expected, in words. */
export function expectedText(expect: Expectation | undefined): string {
  if (expect === undefined) return ''
  const parts = [
    expect.role === undefined ? undefined : `role ${short(expect.role)}`,
    expect.denied === undefined ? undefined : `denied: ${expect.denied}`,
    expect.status === undefined ? undefined : String(expect.status),
    expect.from === undefined ? undefined : `from the ${expect.from}`,
    expect.sessionName === undefined ? undefined : `session ${expect.sessionName}`,
    expect.externalId === undefined ? undefined : `external ID ${expect.externalId}`,
    expect.minLife === undefined ? undefined : `≥ ${formatDuration(expect.minLife)}`,
    expect.within === undefined ? undefined : `within ${formatDuration(expect.within)}`,
    expect.same === undefined ? undefined : expect.same ? 'the same' : 'new ones',
    expect.body === undefined ? undefined : `“${expect.body}”`,
    expect.tags === undefined ? undefined : `tags ${[...expect.tags.keys()].join(', ')}`,
  ]
  return parts.filter((part) => part !== undefined).join(', ')
}

/** What came, in words. */
export function gotText({ answer, reasons }: ReasonedAnswer): string {
  const { status, credentials, from, tookMs, body } = answer
  const who = from === 'node' ? ' from the node' : ''
  const took = ` (${Math.round(tookMs)} ms)`
  if (credentials !== undefined) {
    const { session, accessKeyId } = credentials
    return `${accessKeyId === NODE_CANARY ? 'the role of the node' : session === undefined ? accessKeyId : `${session.grant.role.name} as ${session.grant.sessionName}`}${credentials.accessKeyId === NODE_CANARY ? '' : who}${took}`
  }
  if (status === undefined) return `no answer${took}`
  const reason = reasons.find((code) => code !== 'ok')
  const what =
    reason === undefined ? (body === '' ? '' : ` ${body.slice(0, 40).replaceAll(/\s+/g, ' ')}`) : ` ${reason}`
  return `${status}${what}${who}${took}`
}

/** Why the answer is not what was expected; empty: it is. */
export function judgeAnswer(
  expect: Expectation,
  reasoned: ReasonedAnswer,
  { base, now }: JudgeContext,
): string[] {
  const { answer, reasons, before } = reasoned
  const { credentials, status } = answer
  const session = credentials?.session
  const failures: string[] = []
  const miss = (what: string): void => {
    failures.push(`expected ${what}, got ${gotText(reasoned)}`)
  }

  if (expect.role !== undefined && !isOf(session, resolveRole(expect.role, base)))
    miss(`role ${short(expect.role)}`)
  if (expect.denied !== undefined) {
    const given = status === undefined ? ['unreachable'] : reasons
    if (credentials !== undefined || !given.includes(expect.denied)) miss(`denied: ${expect.denied}`)
  }
  if (expect.status !== undefined && status !== expect.status) miss(`status ${expect.status}`)
  if (expect.from !== undefined && answer.from !== expect.from) miss(`an answer of the ${expect.from}`)
  if (expect.body !== undefined && !answer.body.includes(expect.body)) miss(`“${expect.body}” in the body`)
  if (expect.within !== undefined && answer.tookMs > expect.within)
    miss(`an answer within ${formatDuration(expect.within)}`)
  if (expect.sessionName !== undefined && session?.grant.sessionName !== expect.sessionName) {
    miss(`session name ${expect.sessionName}`)
  }
  if (expect.externalId !== undefined && session?.grant.externalId !== expect.externalId) {
    miss(`external ID ${expect.externalId}`)
  }
  for (const [key, { value }] of expect.tags ?? []) {
    const tag = session?.grant.tags[key]
    if (tag !== value)
      failures.push(`expected session tag ${key}=${value}, got ${tag === undefined ? 'none' : tag}`)
  }
  if (expect.minLife !== undefined) {
    const left = credentials === undefined ? undefined : credentials.expiration.getTime() - now
    if (left === undefined || left < expect.minLife) {
      miss(
        `credentials that live ${formatDuration(expect.minLife)}${left === undefined ? '' : ` (they live ${formatDuration(Math.round(left / 1000) * 1000)})`}`,
      )
    }
  }
  if (expect.same !== undefined) {
    const same = credentials !== undefined && credentials.accessKeyId === before
    if (same !== expect.same)
      miss(expect.same ? 'the credentials of last time' : 'other credentials than last time')
  }
  return failures
}

const short = (role: string): string => role.replace(/^arn:aws[a-z-]*:iam::/, '')
