import { createHash } from 'node:crypto'
import { type Clock, CodedError, systemClock } from '@kube2iam-ts/core'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import type { ApiConnection } from './api-connection.ts'
import type { Cluster, ClusterAccess } from './cluster.ts'
import { createCredentialReader } from './credential-reader.ts'

export interface ClusterConnectionOptions {
  /** Until TCP and TLS are up. 10 seconds. */
  connectTimeoutMs?: number
  /** Until the head of an answer is there. 30 seconds. */
  headersTimeoutMs?: number
  /**
   * Until the credentials are read, exec plugins included. 20 seconds: less than any caller waits for an answer, so that
   * what is told is this and not a silent API server.
   */
  credentialsTimeoutMs?: number
  /** Of that time; the system's unless told. */
  clock?: Clock
  /** `User-Agent`, as audit logs show it. */
  userAgent?: string
}

/**
 * One long-lived pool of connections to the API server. It is made anew only when the transport's own material
 * changes (CA, client certificate); tokens are read for each request.
 */
export function connectToCluster(cluster: Cluster, options: ClusterConnectionOptions = {}): ApiConnection {
  const { connectTimeoutMs = 10_000, headersTimeoutMs = 30_000, userAgent = 'kube2iam-ts' } = options
  const { clock = systemClock, credentialsTimeoutMs: limitMs = 20_000 } = options
  const credentials = createCredentialReader({ cluster, clock, limitMs })
  const base = new URL(cluster.server)
  const prefix = base.pathname.replace(/\/$/, '')
  let pool: { dispatcher: Dispatcher; fingerprint: string } | undefined
  let closed = false

  return {
    async request({ method, path, headers, body, signal }) {
      const access = closed ? undefined : await credentials.read(signal).catch(unlessClosed)
      if (closed || access === undefined) throw unreachable(cluster, new Error('the connection is closed'))
      try {
        const answer = await dispatcherFor(access).request({
          origin: base.origin,
          path: `${prefix}${path}`,
          method,
          headers: { 'user-agent': userAgent, ...access.headers, ...headers },
          body: body ?? null,
          signal: signal ?? null,
          headersTimeout: headersTimeoutMs,
          // Watches are silent for as long as nothing happens; who reads them has a timer of its own.
          bodyTimeout: 0,
        })
        if (answer.statusCode === 401) await cluster.renew()
        return { status: answer.statusCode, headers: flat(answer.headers), body: answer.body }
      } catch (cause) {
        if (signal?.aborted) throw cause
        throw unreachable(cluster, cause)
      }
    },
    async close() {
      closed = true
      credentials.close()
      await pool?.dispatcher.destroy()
    },
  }

  function unlessClosed(cause: unknown): undefined {
    if (!closed) throw cause
  }

  function dispatcherFor(access: ClusterAccess): Dispatcher {
    const fingerprint = digest(access)
    if (pool?.fingerprint === fingerprint) return pool.dispatcher
    // The old pool ends with its last request: a watch that runs is not torn by a rotated certificate.
    void pool?.dispatcher.close()
    pool = { dispatcher: dispatcher(access, connectTimeoutMs), fingerprint }
    return pool.dispatcher
  }
}

function dispatcher({ tls, proxy }: ClusterAccess, timeout: number): Dispatcher {
  // HTTP/1.1: one watch to a connection, so that a stalled one stalls nothing else.
  const common = { allowH2: false, pipelining: 1 }
  const connect = { ...tls, timeout, keepAlive: true, keepAliveInitialDelay: 30_000 }
  return proxy === undefined
    ? new Agent({ ...common, connect })
    : new ProxyAgent({ ...common, uri: proxy, requestTls: connect })
}

function digest({ tls, proxy = '' }: ClusterAccess): string {
  const hash = createHash('sha256').update(proxy)
  for (const [name, value] of Object.entries(tls)) {
    hash.update(`\n${name}=`).update(Buffer.isBuffer(value) ? value : JSON.stringify(value))
  }
  return hash.digest('base64url')
}

const flat = (headers: Record<string, string | string[] | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )

function unreachable(cluster: Cluster, cause: unknown): CodedError<'CLUSTER_UNREACHABLE'> {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CodedError('CLUSTER_UNREACHABLE', `the API server at ${cluster.server} did not answer: ${why}`, {
    retryable: true,
    cause,
  })
}
