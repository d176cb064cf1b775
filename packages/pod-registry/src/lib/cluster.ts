import { readFileSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import { CodedError } from '@kube2iam-ts/core'
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js'

/** Where the API server is and who we are to it. */
export type ClusterSource =
  /** The pod's own service account. `host` and `port`: `KUBERNETES_SERVICE_HOST` and `_PORT`. */
  | { readonly kind: 'in-cluster'; readonly host: string; readonly port: string; readonly directory?: string }
  /** A kubeconfig file: tokens, client certificates and exec plugins as kubectl takes them. */
  | { readonly kind: 'kubeconfig'; readonly path: string; readonly context?: string }
  | {
      readonly kind: 'address'
      readonly server: string
      readonly token?: string
      readonly caFile?: string
      /** The server's certificate is not checked. */
      readonly insecure?: boolean
    }

/** What one connection needs, as of now. */
export interface ClusterAccess {
  readonly tls: Pick<
    ConnectionOptions,
    'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized' | 'passphrase'
  >
  readonly headers: Readonly<Record<string, string>>
}

/** A cluster whose configuration was found to be usable. */
export interface Cluster {
  /** Base URL without a closing slash. */
  readonly server: string
  /** Reads what may have been rotated (token, CA, certificates, exec plugins); rejects with `CLUSTER_CREDENTIALS`. */
  access(): Promise<ClusterAccess>
  /** Forgets remembered credentials, because the server has refused them. Never rejects. */
  renew(): Promise<void>
}

/** Where Kubernetes puts a pod's own token and the cluster's CA. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Reads a cluster's configuration. Rejects with `CLUSTER_CONFIG` where the file is missing, is no kubeconfig or names
 * no cluster.
 */
export async function loadCluster(source: ClusterSource): Promise<Cluster> {
  let config = await load(source)
  return {
    server: serverOf(config, source),
    async access() {
      try {
        return await accessOf(config)
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        throw new CodedError(
          'CLUSTER_CREDENTIALS',
          `credentials for the API server could not be had: ${why}`,
          {
            retryable: true,
            cause,
          },
        )
      }
    },
    async renew() {
      try {
        config = await load(source)
      } catch {
        // A file that is being rewritten: what was read before stays until it can be read again.
      }
    },
  }
}

async function load(source: ClusterSource): Promise<KubeConfig> {
  const { KubeConfig: Config } = await import('@kubernetes/client-node/dist/config.js')
  const config = new Config()
  switch (source.kind) {
    case 'in-cluster': {
      const { host, port, directory = SERVICE_ACCOUNT } = source
      const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
      const authProvider = { name: 'tokenFile', config: { tokenFile: `${directory}/token` } }
      config.loadFromClusterAndUser(
        { name: 'in-cluster', server, caFile: `${directory}/ca.crt`, skipTLSVerify: false },
        { name: 'in-cluster', authProvider },
      )
      requireFile(`${directory}/token`, 'the service account has no token mounted')
      return config
    }
    case 'kubeconfig':
      return fromFile(config, source)
    case 'address': {
      const { server, token, caFile, insecure = false } = source
      if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
        throw wrong(`"${server}" is not the address of an API server; a right one is https://10.0.0.1:6443`)
      }
      config.loadFromClusterAndUser(
        { name: 'address', server, skipTLSVerify: insecure, ...(caFile && { caFile }) },
        { name: 'address', ...(token && { token }) },
      )
      return config
    }
    default:
      return source satisfies never
  }
}

function fromFile(config: KubeConfig, { path, context }: ClusterSource & { kind: 'kubeconfig' }): KubeConfig {
  requireFile(path, 'the kubeconfig cannot be read')
  try {
    config.loadFromFile(path)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw wrong(`${path} is not a kubeconfig: ${why}`, cause)
  }
  if (context !== undefined) config.setCurrentContext(context)
  return config
}

function serverOf(config: KubeConfig, source: ClusterSource): string {
  const cluster = config.getCurrentCluster()
  if (cluster === null || typeof cluster?.server !== 'string') {
    const where = source.kind === 'kubeconfig' ? source.path : 'the configuration'
    throw wrong(
      `${where} names no cluster: its current-context must name a context with a cluster and a server`,
    )
  }
  return cluster.server.replace(/\/+$/, '')
}

async function accessOf(config: KubeConfig): Promise<ClusterAccess> {
  const cluster = config.getCurrentCluster()
  // Without TLS there is nothing to verify, and client-node refuses such an address unless told so.
  if (cluster !== null && /^http:/i.test(cluster.server)) Object.assign(cluster, { skipTLSVerify: true })
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const { ca, cert, key, passphrase, rejectUnauthorized, servername, headers = {}, auth } = options
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value).trim()])
  const tls = { ca, cert, key, passphrase, rejectUnauthorized, servername }
  return {
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined && value !== null)),
    headers: { ...basic, ...Object.fromEntries(named) },
  }
}

function requireFile(path: string, why: string): void {
  try {
    readFileSync(path)
  } catch (cause) {
    throw wrong(`${path}: ${why}`, cause)
  }
}

const wrong = (message: string, cause?: unknown): CodedError<'CLUSTER_CONFIG'> =>
  new CodedError('CLUSTER_CONFIG', message, { cause })
