import type { FakeRole, FakeStsCall } from '@kube2iam-ts/credential-broker/testing'
import type { FakeApiRequest, FakeApiTls, Manifest, TokenOwner } from '@kube2iam-ts/pod-registry/testing'

/** How a world is started: the argument of `main.ts`. */
export interface WorldOptions {
  /** Address on which the API server, STS and the S3-shaped endpoint listen. */
  readonly address: string
  /** Addresses on which the instance's metadata service listens, port 80. */
  readonly metadata: readonly string[]
  readonly account: string
  readonly region: string
  /** The node's own role; its session is what no pod may ever see. */
  readonly nodeRole: string
  /** `required`: the instance refuses requests without a token. */
  readonly instanceTokens?: 'optional' | 'required'
  /** Serves the API server over HTTPS and only to who has the token, as a cluster does. */
  readonly apiSecurity?: { readonly token: string; readonly tls: FakeApiTls }
}

/** What the world says once it listens. */
export interface WorldReady {
  readonly apiUrl: string
  readonly stsUrl: string
  readonly s3Url: string
  readonly kubeconfig: string
  /** Text that stands in every secret of the instance. */
  readonly canary: string
  readonly nodeAccessKeyId: string
}

/** A request that reached the instance's metadata service, with the address that it came from. */
export interface InstanceRequest {
  readonly method: string
  readonly target: string
  readonly from: string
  readonly userAgent: string
}

/** A signed request to the S3-shaped endpoint. */
export interface S3Call {
  readonly method: string
  readonly path: string
  readonly userAgent: string
  /** Whose the signature is; undefined where it was refused. */
  readonly callerArn: string | undefined
  readonly status: number
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** What a test can ask of a running world. Each is one message and one answer. */
export interface WorldApi {
  apply(manifest: Manifest): void
  delete(kind: string, namespace: string | undefined, name: string): void
  list(kind: string, namespace?: string): unknown[]
  addRole(role: FakeRole): void
  addToken(token: string, owner: TokenOwner): void
  stsCalls(): FakeStsCall[]
  s3Calls(): S3Call[]
  apiRequests(): FakeApiRequest[]
  instanceRequests(): InstanceRequest[]
  /** Sets switches of `FakeInstance.faults` or `FakeSts.faults`. */
  fault(part: 'instance' | 'sts' | 'api', values: Readonly<Record<string, unknown>>): void
  /** A request from inside the world's namespace; status 0 when nothing answers. */
  get(url: string): HttpAnswer
}

export interface WorldRequest {
  readonly id: number
  readonly method: keyof WorldApi
  readonly args: readonly unknown[]
}

export type WorldMessage =
  | { readonly ready: WorldReady }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string }
