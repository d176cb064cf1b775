import type { Clock } from '@kube2iam-ts/core'
import type { ApiConnection } from '../api-connection.ts'
import type { FakeApiFaults } from './faults.ts'
import type { KubernetesObject, Manifest } from './objects.ts'
import type { TokenOwner } from './token-reviews.ts'

export interface FakeApiServerOptions {
  /** Time of time-stamps, bookmarks, watch time-outs and slow lists; the system's unless told. */
  clock?: Clock
  /** The bearer token that opens the server; without it any caller may do anything. */
  token?: string
  /** How often a quiet watch gets a bookmark; a minute, as the API server does. */
  bookmarkEveryMs?: number
  /** How many changes the history keeps before it compacts by itself. */
  historyLimit?: number
  /** How many calls `requests` holds; the older half is dropped when there are more. 10,000. */
  requestLimit?: number
  /** Deleted pods are marked and stay until the caller removes them, as with a kubelet. Otherwise they go at once. */
  gracefulDeletion?: boolean
  /**
   * Serves HTTPS; `true`: with a certificate of an authority of its own, which the kubeconfig names. kubectl sends
   * tokens over HTTPS only.
   */
  tls?: FakeApiTls | true
}

export interface FakeApiTls {
  readonly cert: string
  readonly key: string
  /** What clients verify the server by; in the kubeconfig. */
  readonly ca: string
  /** What client certificates are verified by; `ca` unless told. */
  readonly clientCa?: string
  /** 401 for clients without a certificate of `clientCa`. */
  readonly requireClientCertificate?: boolean
}

/** A call that the server saw. */
export interface FakeApiRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly at: number
}

/** A write, as subscribers see it. */
export interface FakeApiChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubernetesObject
}

/**
 * A Kubernetes API server in memory: real list, watch, paging, selectors, bookmarks and resource versions over HTTP,
 * for the kinds that an identity agent deals with. Nothing schedules or runs pods: the caller is the kubelet.
 */
export interface FakeApiServer {
  listen(options?: { host?: string; port?: number }): Promise<{ url: string; port: number }>
  close(): Promise<void>
  /** The server without a socket: the same handler, for tests with thousands of histories. */
  connection(): ApiConnection
  /** Creates or replaces an object as an administrator; fills in what is absent. A new `metadata.uid` replaces the old object by a new one. */
  apply(manifest: Manifest): KubernetesObject
  /** Removes an object at once, a namespace with all that is in it: clients that delete one see it `Terminating` first. */
  delete(kind: string, namespace: string | undefined, name: string): void
  get(kind: string, namespace: string | undefined, name: string): KubernetesObject | undefined
  list(kind: string, namespace?: string): KubernetesObject[]
  /** Called at every write, by whomever: how a caller plays scheduler and kubelet. */
  subscribe(listener: (change: FakeApiChange) => void): () => void
  /** The newest resource version. */
  readonly resourceVersion: string
  readonly requests: readonly FakeApiRequest[]
  /** How many watches are open. */
  readonly watches: number
  /** How many connections were ever made. */
  readonly connections: number
  readonly faults: FakeApiFaults
  /** The token that opens the server from now on, as after a rotation. */
  setToken(token: string | undefined): void
  /** Serves another certificate from now on, and closes what connections stand. */
  setTls(tls: FakeApiTls): void
  /** Makes a token known to `TokenReview`. It does not open the server. */
  addToken(token: string, owner: TokenOwner): void
  removeToken(token: string): void
  /** A kubeconfig (YAML) for the address that the server listens on. */
  kubeconfig(): string
}
