import type { FlagKind } from './flag-kinds.ts'

/** Chapters of the table, in the order in which people read about them. */
export type FlagGroup =
  | 'kubernetes'
  | 'roles'
  | 'policy'
  | 'sessions'
  | 'metadata'
  | 'listening'
  | 'interception'
  | 'telemetry'

/** One setting: everything that the parser, `--help`, the documentation and the parity table know about it. */
export interface Flag<Value> {
  /** As on the command line, without the dashes. The environment name and the key in the file follow from it. */
  readonly name: string
  readonly group: FlagGroup
  readonly kind: FlagKind<Value>
  /** The default, written as on the command line; empty where being unset is a meaning of its own. */
  readonly default: string
  /** One sentence: what it does, and what being unset means. */
  readonly doc: string
  /** In kube2iam 0.15 since before us: its default there, where that is another one. Absent: the flag is ours. */
  readonly kube2iam?: { readonly default?: string; readonly difference?: string }
  /** Never shown, also not in a message that says that it is wrong. */
  readonly secret?: boolean
  /** Values as kube2iam's users write them, for the documentation. */
  readonly example?: string
}

/** The environment variable of a flag: `--iam-role-key` is `KUBE2IAM_IAM_ROLE_KEY`. */
export const environmentName = (flagName: string): string =>
  `KUBE2IAM_${flagName.toUpperCase().replaceAll('-', '_')}`
