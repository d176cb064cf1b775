import type { KeyObject } from 'node:crypto'
import type { CodedError } from '@kube2iam-ts/core'

/** A key that tokens are signed with. `id` stands in each token, so that the right key is found again. */
export interface TokenKey {
  /** 0 to 2^32 - 1. */
  readonly id: number
  readonly key: KeyObject
}

/** The keys of this node: one signs, and those whose tokens may still live verify. */
export interface TokenKeys {
  current(): TokenKey
  /** `undefined`: no such key, or none any more. */
  find(id: number): TokenKey | undefined
  /** How the keys are kept, for whoever shows it: readiness, a metric, a warning. */
  status(): TokenKeysStatus
}

export type TokenKeysStatus =
  /** On the node: tokens outlive this process, and every agent of the node takes them. */
  | { readonly kind: 'kept' }
  /** In this process only: its end is the end of all tokens, and another agent on the node takes none of them. */
  | { readonly kind: 'memory' }
  /** The place for them fails: the last key goes on signing, and other agents may not take its tokens. */
  | { readonly kind: 'trouble'; readonly error: CodedError }

/** Keys on the node could not be had when one was due, and could be again. Each is told once. */
export type TokenKeysEvent =
  | { readonly kind: 'token-key-trouble'; readonly error: CodedError }
  | { readonly kind: 'token-key-recovered' }
