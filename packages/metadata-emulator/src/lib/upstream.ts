import { type Clock, isCoded, type Report } from '@kube2iam-ts/core'
import { type Dispatcher, Pool } from 'undici'
import type { UpstreamEvent } from './events.ts'
import { upstreamUnavailable } from './upstream-error.ts'
import type { Upstream, UpstreamAnswer } from './upstream-port.ts'

export interface InstanceMetadataOptions {
  /** `http://169.254.169.254`, or where the real metadata service is. */
  readonly origin: string
  readonly clock: Clock
  readonly report: Report<UpstreamEvent>
  /** For everything that one call needs, a new token included. */
  readonly timeoutMs?: number
  /** Longer answers are refused. */
  readonly maxBytes?: number
}

const TTL_SECONDS = 21_600
const RENEW_BEFORE_MS = 120_000
const PASSED = ['content-type', 'last-modified', 'accept-ranges'] as const

/** The node's metadata service over HTTP, asked with a token of the agent's own. */
export function createInstanceMetadata(options: InstanceMetadataOptions): Upstream {
  const { origin, clock, report, timeoutMs = 800, maxBytes = 262_144 } = options
  const pool = new Pool(origin, { connections: 8, pipelining: 1, connect: { timeout: timeoutMs } })
  let token: { text: string; renewAt: number } | undefined
  let renewing: Promise<string | undefined> | undefined

  const call = async (
    method: 'GET' | 'PUT',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> => {
    const response = await pool.request({ method, path, headers, signal })
    return {
      status: response.statusCode,
      headers: kept(response.headers),
      body: await limited(response, maxBytes),
    }
  }

  const renew = async (signal: AbortSignal): Promise<string | undefined> => {
    const { status, body } = await call(
      'PUT',
      '/latest/api/token',
      { 'x-aws-ec2-metadata-token-ttl-seconds': String(TTL_SECONDS) },
      signal,
    )
    if (status >= 500)
      throw upstreamUnavailable(`the metadata service answered ${status} to the token request`)
    // An endpoint that knows no tokens is asked without one.
    token = {
      text: status === 200 ? body.toString('latin1') : '',
      renewAt: clock.now() + TTL_SECONDS * 1000 - RENEW_BEFORE_MS,
    }
    return token.text
  }

  const tokenText = async (signal: AbortSignal): Promise<string | undefined> => {
    if (token !== undefined && token.renewAt > clock.now()) return token.text
    renewing ??= renew(signal).finally(() => {
      renewing = undefined
    })
    return await renewing
  }

  const ask = async (path: string, signal: AbortSignal) => {
    const text = await tokenText(signal)
    return await call(
      'GET',
      path,
      text === undefined || text === '' ? {} : { 'x-aws-ec2-metadata-token': text },
      signal,
    )
  }

  return {
    async get(path, { signal }) {
      const arrived = clock.monotonic()
      const timer = new AbortController()
      const cancel = clock.after(timeoutMs, () => timer.abort())
      const both = AbortSignal.any([signal, timer.signal])
      try {
        let answer = await ask(path, both)
        if (answer.status === 401) {
          token = undefined
          answer = await ask(path, both)
        }
        report(event(answer.status, clock.monotonic() - arrived))
        if (answer.status === 401) throw upstreamUnavailable('the metadata service refuses its own token')
        return answer satisfies UpstreamAnswer
      } catch (error) {
        if (isCoded(error)) throw error
        report({
          kind: 'upstream',
          outcome: 'unavailable',
          status: undefined,
          durationMs: clock.monotonic() - arrived,
        })
        throw upstreamUnavailable(`the metadata service at ${origin} did not answer`, error)
      } finally {
        cancel()
      }
    },
    close: () => pool.destroy(),
  }
}

const event = (status: number, durationMs: number): UpstreamEvent => ({
  kind: 'upstream',
  outcome: status === 200 ? 'ok' : status === 404 ? 'not-found' : 'refused',
  status,
  durationMs,
})

function kept(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const result: Record<string, string> = {}
  for (const name of PASSED) {
    const value = headers[name]
    if (typeof value === 'string') result[name] = value
  }
  return result
}

async function limited({ body }: Dispatcher.ResponseData, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += (chunk as Buffer).length
    if (length > maxBytes)
      throw upstreamUnavailable(`the metadata service answered more than ${maxBytes} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
