import type { ConnectionOptions } from 'node:tls'
import { CodedError } from '@kube2iam-ts/core'

/** Where the API server is and who we are to it. */
export type ClusterSource =
  /**
   * The pod's own service account. `host` and `port`: `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`;
   * `directory`: where the token and the CA are mounted, if not where Kubernetes puts them.
   */
  | { readonly kind: 'in-cluster'; readonly host: string; readonly port: string; readonly directory?: string }
  /** A kubeconfig file: tokens, client certificates and exec plugins as kubectl takes them. */
  | { readonly kind: 'kubeconfig'; readonly path: string; readonly context?: string }
  | {
      readonly kind: 'address'
      /** `https://10.0.0.1:6443`. */
      readonly server: string
      readonly token?: string
      /** Read again for each request, so that a rotated token is picked up. */
      readonly tokenFile?: string
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
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** An HTTP proxy on the way: the kubeconfig's `proxy-url`. */
  readonly proxy?: string
}

/** A cluster whose configuration was found to be usable. */
export interface Cluster {
  /** Base URL without a closing slash. */
  readonly server: string
  /**
   * Reads what may have been rotated (token, CA, certificates, exec plugins); rejects with `CLUSTER_CREDENTIALS`. The
   * signal ends plugins that run.
   */
  access(signal?: AbortSignal): Promise<ClusterAccess>
  /** Forgets remembered credentials, because the server has refused them. Never rejects. */
  renew(): Promise<void>
}

/** Where Kubernetes puts a pod's own token and the cluster's CA. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Reads a cluster's configuration. Rejects with `CLUSTER_CONFIG` where a file is missing, is no kubeconfig or names
 * no cluster.
 */
export async function loadCluster(source: ClusterSource): Promise<Cluster> {
  switch (source.kind) {
    case 'in-cluster': {
      const { host, port, directory = SERVICE_ACCOUNT } = source
      const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
      const { createFileCluster } = await import('./file-cluster.ts')
      return createFileCluster({ server, tokenFile: `${directory}/token`, caFile: `${directory}/ca.crt` })
    }
    case 'address': {
      const { createFileCluster } = await import('./file-cluster.ts')
      return createFileCluster(source)
    }
    case 'kubeconfig': {
      // client-node is loaded only where a kubeconfig is: it costs an agent in its cluster 7 MB that it has no use for.
      const { createKubeconfigCluster } = await import('./kubeconfig-cluster.ts')
      return createKubeconfigCluster(source)
    }
    default:
      return source satisfies never
  }
}

/** A configuration that cannot work before somebody changes it. */
export const badConfig = (message: string, cause?: unknown): CodedError<'CLUSTER_CONFIG'> =>
  new CodedError('CLUSTER_CONFIG', message, { cause })

/** Credentials that could not be had just now: a file that is being rewritten, a plugin that failed. */
export function noCredentials(cause: unknown): CodedError<'CLUSTER_CREDENTIALS'> {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CodedError('CLUSTER_CREDENTIALS', `credentials for the API server could not be had: ${why}`, {
    retryable: true,
    cause,
  })
}
