import { aborted, type Clock, isCoded, type Report } from '@kube2iam-ts/core'
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
  let renewing: Promise<void> | undefined

  const call = async (
    method: 'GET' | 'PUT',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> => {
    const response = await pool.request({ method, path, headers, signal })
    return {
      status: response.statusCode,
      headers: kept(response.headers),
      body: await limited(response, maxBytes),
    }
  }

  /** A new token for all who wait for one; owned by none of them, so none of them can abort it. */
  const renew = async (): Promise<void> => {
    const { signal, cancel } = deadline(clock, timeoutMs)
    try {
      const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': String(TTL_SECONDS) }
      const { status, body } = await call('PUT', '/latest/api/token', headers, signal)
      if (status >= 500)
        throw upstreamUnavailable(`the metadata service answered ${status} to the token request`)
      // An endpoint that knows no tokens is asked without one.
      const text = status === 200 ? body.toString('latin1') : ''
      token = { text, renewAt: clock.now() + TTL_SECONDS * 1000 - RENEW_BEFORE_MS }
    } finally {
      cancel()
      renewing = undefined
    }
  }

  const ask = async (path: string, signal: AbortSignal): Promise<UpstreamAnswer> => {
    if (token === undefined || token.renewAt <= clock.now()) {
      renewing ??= renew()
      await orAborted(renewing, signal)
    }
    const used = token?.text ?? ''
    const answer = await call('GET', path, used === '' ? {} : { 'x-aws-ec2-metadata-token': used }, signal)
    if (answer.status === 401 && token?.text === used) token = undefined
    return answer
  }

  return {
    async get(path, { signal }) {
      const arrived = clock.monotonic()
      const timer = deadline(clock, timeoutMs)
      const both = AbortSignal.any([signal, timer.signal])
      let status: number | undefined
      try {
        const first = await ask(path, both)
        const answer = first.status === 401 ? await ask(path, both) : first
        status = answer.status
        if (status === 401) throw upstreamUnavailable('the metadata service refuses its own token')
        return answer
      } catch (error) {
        throw isCoded(error, 'UPSTREAM_UNAVAILABLE')
          ? error
          : upstreamUnavailable(`the metadata service at ${origin} did not answer`, error)
      } finally {
        timer.cancel()
        report({
          kind: 'upstream',
          outcome: outcomeOf(status),
          status,
          durationMs: clock.monotonic() - arrived,
        })
      }
    },
    close: () => pool.destroy(),
  }
}

function outcomeOf(status: number | undefined): UpstreamEvent['outcome'] {
  if (status === undefined) return 'unavailable'
  if (status === 200) return 'ok'
  return status === 404 ? 'not-found' : 'refused'
}

function deadline(clock: Clock, ms: number): { signal: AbortSignal; cancel: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, cancel: clock.after(ms, () => controller.abort()) }
}

/** The promise's outcome, or the abort, whichever is first. */
async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let stop = (): void => {}
  const gone = new Promise<never>((_resolve, reject) => {
    stop = () => reject(aborted(signal))
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
  try {
    return await Promise.race([promise, gone])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

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
