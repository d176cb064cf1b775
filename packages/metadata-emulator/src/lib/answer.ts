import type { Outcome } from './faults.ts'
import { EMPTY, type Reply } from './message.ts'

/** What a route decided, before it is dressed in headers. */
export interface Answer {
  readonly status: number
  readonly outcome: Outcome
  readonly body: Buffer
  readonly type: string
  /** `namespace/name`, where a service told. */
  readonly pod: string | undefined
  /** More headers, names and values in turns. */
  readonly headers: readonly string[]
}

const PLAIN = 'text/plain'
const NONE: readonly string[] = []

export const text = (body: Buffer | string, pod?: string, headers: readonly string[] = NONE): Answer => ({
  status: 200,
  outcome: 'ok',
  body: typeof body === 'string' ? Buffer.from(body) : body,
  type: PLAIN,
  pod,
  headers,
})

/** Errors have no body: the CRT takes any text for a role name. */
export const empty = (
  status: number,
  outcome: Outcome,
  pod?: string,
  headers: readonly string[] = NONE,
): Answer => ({ status, outcome, body: EMPTY, type: PLAIN, pod, headers })

/** The headers of the metadata service today; `ttl` is what the client's token has left. */
export function metadataReply(answer: Answer, ttl: number | undefined): Reply {
  const headers = [
    'Server',
    'EC2ws',
    'Connection',
    'close',
    'Content-Type',
    answer.type,
    'Content-Length',
    String(answer.body.length),
    ...answer.headers,
  ]
  if (ttl !== undefined && answer.status === 200) {
    headers.push('X-Aws-Ec2-Metadata-Token-Ttl-Seconds', String(ttl))
  }
  return { status: answer.status, headers, body: answer.body }
}
