import type { KeyObject } from 'node:crypto'

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
}
