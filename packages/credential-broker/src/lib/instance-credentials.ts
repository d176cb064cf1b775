import { request } from 'node:http'
import { aborted, type Clock, CodedError, isCoded, Secret } from '@kube2iam-ts/core'
import type { NodeCredentials, NodeCredentialsProvider } from './node-credentials.ts'

export interface InstanceCredentialsOptions {
  clock: Clock
  /** `http://169.254.169.254`, or where else the instance's metadata service is. */
  endpoint: string
  /** For each of the two or three requests; 1,000 unless told, as in the SDKs. */
  timeoutMs?: number
}

interface Answer {
  readonly status: number
  readonly body: string
}

const TOKEN_TTL_SECONDS = 21_600
const ROLES = '/latest/meta-data/iam/security-credentials/'
const LARGEST_ANSWER = 64 * 1024

/**
 * The node's own role from its metadata service, IMDSv2 with the fallback to v1 that the SDKs' documentation allows
 * (403, 404 and 405 to the token request, nothing else). Lean on purpose: the SDK's own chain loads four packages.
 */
export function createInstanceCredentials(options: InstanceCredentialsOptions): NodeCredentialsProvider {
  const { clock, endpoint, timeoutMs = 1_000 } = options
  let token: string | undefined

  async function send(
    method: 'GET' | 'PUT',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ) {
    const timeout = new AbortController()
    const cancel = clock.after(timeoutMs, () => timeout.abort())
    try {
      return await exchange(
        new URL(path, endpoint),
        method,
        headers,
        AbortSignal.any([signal, timeout.signal]),
      )
    } catch (cause) {
      if (signal.aborted) throw aborted(signal)
      throw unavailable(`the metadata service at ${endpoint} does not answer`, cause)
    } finally {
      cancel()
    }
  }

  async function newToken(signal: AbortSignal): Promise<string | undefined> {
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_TTL_SECONDS) }
    const { status, body } = await send('PUT', '/latest/api/token', ttl, signal)
    if (status === 200) return body
    if (status === 403 || status === 404 || status === 405) return undefined
    throw unavailable(`the metadata service at ${endpoint} answered ${status} to the request for a token`)
  }

  async function get(path: string, signal: AbortSignal): Promise<string> {
    const read = () =>
      send('GET', path, token === undefined ? {} : { 'x-aws-ec2-metadata-token': token }, signal)
    token ??= await newToken(signal)
    let answer = await read()
    if (answer.status === 401) {
      token = await newToken(signal)
      answer = await read()
    }
    if (answer.status === 200) return answer.body
    if (answer.status === 404) {
      throw unavailable(
        `the metadata service at ${endpoint} knows no role: give the instance an instance profile`,
      )
    }
    throw unavailable(`the metadata service at ${endpoint} answered ${answer.status} to ${path}`)
  }

  return {
    async get({ signal }) {
      const [role = ''] = (await get(ROLES, signal)).trim().split('\n')
      return parseDocument(await get(`${ROLES}${role}`, signal), endpoint)
    },
  }
}

function parseDocument(text: string, endpoint: string): NodeCredentials {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    document = undefined
  }
  const field = (name: string): string | undefined => {
    const value = (document as Record<string, unknown> | null | undefined)?.[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const [accessKeyId, secret, token] = ['AccessKeyId', 'SecretAccessKey', 'Token'].map(field)
  const expiration = new Date(field('Expiration') ?? '')
  if (
    accessKeyId === undefined ||
    secret === undefined ||
    token === undefined ||
    Number.isNaN(expiration.getTime())
  ) {
    const code = field('Code') ?? 'no code'
    throw unavailable(
      `the metadata service at ${endpoint} answered no credentials of the node's role (${code})`,
    )
  }
  return { accessKeyId, secretAccessKey: new Secret(secret), sessionToken: new Secret(token), expiration }
}

function exchange(
  url: URL,
  method: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, signal, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > LARGEST_ANSWER) response.destroy(new Error('the answer is too large'))
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function unavailable(message: string, cause?: unknown): CodedError<'NODE_CREDENTIALS_UNAVAILABLE'> {
  if (isCoded(cause, 'NODE_CREDENTIALS_UNAVAILABLE')) return cause
  return new CodedError('NODE_CREDENTIALS_UNAVAILABLE', message, { retryable: true, cause })
}
