import type { PodIdentity } from '@kube2iam-ts/core'
import type { DiscoveryEvent } from './discovery.ts'
import type { ObjectEventsReport } from './kubernetes/object-events.ts'
import type { StartupTaintEvent } from './kubernetes/startup-taint.ts'
import type { RequestMigrationEvent } from './request-migration.ts'

/** Where the agent listens. */
export interface BoundAddress {
  readonly host: string
  readonly port: number
  /** Where it listens for the same beside that: on a node with two families, the address of the other one. */
  readonly also?: readonly { readonly host: string; readonly port: number }[]
}

export interface BoundAddresses {
  /** For pods. */
  readonly metadata: BoundAddress
  /** For health and metrics; the same as `metadata` where they share. */
  readonly status: BoundAddress
  readonly container: BoundAddress | undefined
}

/** What the assembly itself has to tell. */
export type AgentEvent =
  | { readonly kind: 'starting'; readonly version: string; readonly node: string | undefined }
  | ({ readonly kind: 'listening' } & BoundAddresses)
  /** Something that was asked for is unwise: said once, at start. */
  | { readonly kind: 'unwise'; readonly setting: string; readonly why: string }
  | { readonly kind: 'ready'; readonly afterMs: number; readonly again: boolean }
  | { readonly kind: 'not-ready'; readonly parts: readonly string[]; readonly reasons: readonly string[] }
  | { readonly kind: 'interception-failed'; readonly code: string; readonly message: string }
  /** The rules are in place; whether packets meet them could not be tried. */
  | { readonly kind: 'interception-not-tried'; readonly code: string; readonly message: string }
  | { readonly kind: 'interception-removed'; readonly why: string }
  | { readonly kind: 'interception-stays'; readonly why: string }
  | { readonly kind: 'host-network-role'; readonly pod: PodIdentity }
  | { readonly kind: 'stopping'; readonly why: string }
  | { readonly kind: 'stopped'; readonly afterMs: number }
  | { readonly kind: 'stop-late'; readonly what: string }
  | { readonly kind: 'bug'; readonly where: string; readonly error: unknown }
  | DiscoveryEvent
  | ObjectEventsReport
  | RequestMigrationEvent
  | StartupTaintEvent
