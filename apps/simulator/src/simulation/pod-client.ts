import type { Clock } from '@kube2iam-ts/core'
import type { RequestPart } from '../scenario/scenario.ts'
import type { SeenAnswer, SeenCredentials } from './seen.ts'
import { credentialsIn } from './seen.ts'
import type { PodPacket, SimulatedNode } from './simulated-node.ts'
import type { SimulatedSession } from './simulated-sts.ts'

export interface PodClientOptions {
  readonly clock: Clock
  readonly node: SimulatedNode
  readonly source: string
  readonly hostNetwork: boolean
  readonly session: (accessKeyId: string) => SimulatedSession | undefined
  /** The token that the pod's projected volume holds, for the container-credentials protocol. */
  readonly serviceAccountToken: string
  /** Sees every answer, also those before the last. */
  readonly onAnswer: (answer: SeenAnswer) => void
}

/** What SDKs give each request (protocol of botocore and the JavaScript SDK alike). */
const CLIENT_TIMEOUT_MS = 1000
const BASE = '/latest/meta-data/iam/security-credentials/'

/** One asking, as a pod's SDK does it; resolves with the last answer. */
export async function askAs(request: RequestPart, options: PodClientOptions): Promise<SeenAnswer> {
  const { clock } = options
  const began = clock.monotonic()
  const total = (answer: SeenAnswer): SeenAnswer => ({ ...answer, tookMs: clock.monotonic() - began })
  const extra = Object.fromEntries(
    [...(request.headers ?? [])].map(([name, { value }]) => [name.toLowerCase(), value]),
  )
  const get = (target: string, token?: string): Promise<SeenAnswer> =>
    exchange(options, {
      destination: '169.254.169.254',
      method: request.method ?? 'GET',
      target,
      headers: headersOf({ host: '169.254.169.254', ...tokenHeader(token), ...extra }),
    })
  const token = async (): Promise<string | undefined> => {
    if (request.imds === 'v1') return undefined
    const answer = await exchange(options, {
      destination: '169.254.169.254',
      method: 'PUT',
      target: '/latest/api/token',
      headers: headersOf({ host: '169.254.169.254', 'x-aws-ec2-metadata-token-ttl-seconds': '21600' }),
    })
    return answer.status === 200 ? answer.body : undefined
  }

  switch (request.ask ?? 'credentials') {
    case 'container':
      return total(
        await exchange(options, {
          destination: '169.254.170.23',
          method: 'GET',
          target: '/v1/credentials',
          headers: headersOf({
            host: '169.254.170.23',
            authorization: options.serviceAccountToken,
            ...extra,
          }),
        }),
      )
    case 'path':
      return total(await get(request.path ?? '/', await token()))
    case 'list':
      return total(await get(BASE, await token()))
    case 'document': {
      const known = await token()
      if (request.role !== undefined) return total(await get(`${BASE}${request.role}`, known))
      const list = await get(BASE, known)
      return total(list.status === 200 ? await get(`${BASE}${list.body}`, known) : list)
    }
    case 'credentials': {
      const known = await token()
      const list = await get(BASE, known)
      if (list.status !== 200 || list.body === '') return total(list)
      return total(await get(`${BASE}${list.body}`, known))
    }
    default:
      throw new Error('unreachable')
  }
}

const tokenHeader = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { 'x-aws-ec2-metadata-token': token }

/** The headers that the emulator looks at, by its names for them. */
const headersOf = (headers: Readonly<Record<string, string | undefined>>): PodPacket['headers'] => ({
  token: headers['x-aws-ec2-metadata-token'],
  tokenTtl: headers['x-aws-ec2-metadata-token-ttl-seconds'],
  forwardedFor: headers['x-forwarded-for'],
  authorization: headers['authorization'],
  host: headers['host'],
})

/** One HTTP request over the node's netfilter, given up after the time that SDKs give it. */
async function exchange(
  options: PodClientOptions,
  packet: Omit<PodPacket, 'source' | 'hostNetwork' | 'signal'>,
): Promise<SeenAnswer> {
  const { clock, node, source, hostNetwork, session, onAnswer } = options
  const began = clock.monotonic()
  const hangUp = new AbortController()
  const { promise: late, resolve: giveUp } = Promise.withResolvers<undefined>()
  const cancel = clock.after(CLIENT_TIMEOUT_MS, () => giveUp(undefined))
  const sent = node.send({ ...packet, source, hostNetwork, signal: hangUp.signal }).then(async (answer) => {
    // A dropped packet is waited for; a refused connection is known at once.
    if (answer.from === 'nobody' && answer.why === 'dropped') await late
    return answer
  })
  const answer = await Promise.race([sent, late])
  cancel()
  if (answer === undefined) hangUp.abort()
  const tookMs = clock.monotonic() - began
  const seen = ((): SeenAnswer => {
    if (answer === undefined || answer.from === 'nobody') {
      return { status: undefined, body: '', tookMs, from: 'nobody', credentials: undefined }
    }
    const status = answer.from === 'agent' ? answer.reply.status : answer.status
    const body = answer.from === 'agent' ? answer.reply.body.toString() : answer.body
    const credentials: SeenCredentials | undefined = status === 200 ? credentialsIn(body, session) : undefined
    return { status, body: packet.method === 'HEAD' ? '' : body, tookMs, from: answer.from, credentials }
  })()
  onAnswer(seen)
  return seen
}
