import { type MetadataAllow, parseMetadataAllow } from './metadata-allow.ts'

export interface EmulatorSettings {
  /** `required`: a request without an IMDSv2 token is 401. */
  readonly tokens: 'optional' | 'required'
  /** How long a request may wait for its pod to be known and for its credentials. */
  readonly podWaitMs: number
  /** What of the node's metadata pods may read. */
  readonly allow: MetadataAllow
  /** What a role that STS refuses for good gets: the document with a `Code` that SDKs print, or an empty 403. */
  readonly deniedAnswer: 'document' | 'forbidden'
  /** Per address; `perSecond` 0 sets no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number }
  /** Requests of all pods together that reach the real metadata service; `perSecond` 0 sets no limit. */
  readonly upstreamRate: { readonly perSecond: number; readonly burst: number }
  /** The `Host` values under which container credentials may be asked: what SDKs allow, against DNS rebinding. */
  readonly containerHosts: readonly string[]
}

export const defaultEmulatorSettings: EmulatorSettings = {
  tokens: 'optional',
  podWaitMs: 900,
  allow: parseMetadataAllow(['all-safe']),
  deniedAnswer: 'document',
  rate: { perSecond: 500, burst: 1000 },
  // A request is three or four of the 1024 packets that link-local services may have in a second, DNS among them.
  upstreamRate: { perSecond: 50, burst: 100 },
  containerHosts: ['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'],
}
