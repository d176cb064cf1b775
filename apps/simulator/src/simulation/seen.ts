import type { RoleArn } from '@kube2iam-ts/core'
import { NODE_CANARY } from './simulated-instance.ts'
import type { SimulatedSession } from './simulated-sts.ts'

/** Credentials that a pod got, in clear: what an application would go on with. */
export interface SeenCredentials {
  readonly accessKeyId: string
  readonly expiration: Date
  /** Whose they are; `undefined` where STS never issued them. */
  readonly session: SimulatedSession | undefined
}

/** What came of one request of a pod. */
export interface SeenAnswer {
  /** `undefined`: no answer at all (refused connection, dropped packet, the client gave up). */
  readonly status: number | undefined
  readonly body: string
  readonly tookMs: number
  /** Who answered. */
  readonly from: 'agent' | 'node' | 'nobody'
  readonly credentials: SeenCredentials | undefined
}

/** Reads credentials out of a body, if there are any. */
export function credentialsIn(
  body: string,
  session: (accessKeyId: string) => SimulatedSession | undefined,
): SeenCredentials | undefined {
  if (!body.includes('AccessKeyId')) return undefined
  try {
    const document = JSON.parse(body) as { AccessKeyId?: unknown; Expiration?: unknown }
    if (typeof document.AccessKeyId !== 'string') return undefined
    return {
      accessKeyId: document.AccessKeyId,
      expiration: new Date(String(document.Expiration)),
      session: session(document.AccessKeyId),
    }
  } catch {
    return undefined
  }
}

export const isNodeSecret = (body: string): boolean =>
  body.includes(NODE_CANARY) || body.includes('canary-node') || body.includes('canary-user-data')

/** Whether the session is of exactly this role. */
export const isOf = (session: SimulatedSession | undefined, role: RoleArn): boolean =>
  session?.roleArn === role.text
