import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock, IpAddress, Random } from '@kube2iam-ts/core'
import type { CallerAnswer } from './credential-service.ts'
import type { TokenKey, TokenKeys } from './token-keys.ts'

/** IMDSv2: a session lives one second to six hours. */
export const LONGEST_TTL_SECONDS = 21_600

export type Verification =
  | { readonly kind: 'valid'; readonly remainingSeconds: number }
  /** Genuine so far as can be told; whose it is shows when the pod at the address is known. */
  | { readonly kind: 'undecided' }
  | { readonly kind: 'invalid'; readonly why: 'malformed' | 'unknown-key' | 'expired' | 'not-yours' }

export interface Tokens {
  /** A token for the caller at the address; for an address not known yet, one that its first pod may use. */
  issue(address: IpAddress, caller: CallerAnswer, ttlSeconds: number): string
  verify(token: string, address: IpAddress, caller: CallerAnswer): Verification
}

export interface TokensOptions {
  readonly keys: TokenKeys
  readonly clock: Clock
  readonly random: Random
  /** A token of an address without a pod is for the first pod that appears there so soon after its issue. */
  readonly adoptionMs?: number
  /** How far the API server's clock may be ahead of the node's; its instants are whole seconds besides. */
  readonly skewMs?: number
}

/** What a token says about itself. */
export interface TokenFields {
  readonly binding: 'pod' | 'address'
  readonly keyId: number
  readonly issuedAt: number
  readonly ttlSeconds: number
}

// 42 bytes are 56 characters of base64url without padding, the length of the real service's tokens:
// version and binding 1 · key 4 · issued at (ms) 6 · ttl (s) 3 · nonce 6 · MAC 22.
const HEADER_BYTES = 20
const TOKEN_BYTES = 42
const TOKEN_TEXT = /^[A-Za-z0-9_-]{56}$/
const BINDINGS = { pod: 0x11, address: 0x12 } as const
const PINNED_TOKENS = 1024

/**
 * Tokens that need no memory: an HMAC over what the token says, the address it was issued to and the UID of the pod
 * there. They are good in every process of the node that has the key.
 */
export function createTokens(options: TokensOptions): Tokens {
  const { keys, clock, random, adoptionMs = 60_000, skewMs = 1000 } = options
  const startedAt = clock.now()
  /** Which pod an address-bound token was first accepted from. */
  const pinned = new Map<string, string>()

  /** Whether the pod is the first that the token of a then unknown address can have been meant for. */
  const mayAdopt = (token: string, issuedAt: number, caller: CallerAnswer & { kind: 'pod' }): boolean => {
    const { uid, createdAt, boundAt, sandboxAt } = caller.caller
    if (createdAt > issuedAt + skewMs) return false
    // When a former process issued it, this one's `boundAt` may only say when it began to look, and what that one pinned
    // is gone. The kubelet's word is left; without it the pod that was there cannot be told from one that came later.
    const since = issuedAt >= startedAt ? boundAt : Math.min(boundAt, sandboxAt ?? createdAt)
    if (since > issuedAt + adoptionMs) return false
    const first = pinned.get(token)
    if (first !== undefined) return first === uid
    pinned.set(token, uid)
    for (const oldest of pinned.keys()) {
      if (pinned.size <= PINNED_TOKENS) break
      pinned.delete(oldest)
    }
    return true
  }

  return {
    issue(address, caller, ttlSeconds) {
      const key = keys.current()
      const bytes = Buffer.alloc(TOKEN_BYTES)
      bytes.writeUInt8(caller.kind === 'pod' ? BINDINGS.pod : BINDINGS.address, 0)
      bytes.writeUInt32BE(key.id, 1)
      bytes.writeUIntBE(clock.now(), 5, 6)
      bytes.writeUIntBE(ttlSeconds, 11, 3)
      bytes.writeUIntBE(Math.floor(random() * 2 ** 48), 14, 6)
      mac(key, bytes, address, uidOf(caller)).copy(bytes, HEADER_BYTES)
      return bytes.toString('base64url')
    },

    verify(token, address, caller) {
      const fields = parseToken(token)
      if (fields === undefined) return { kind: 'invalid', why: 'malformed' }
      const key = keys.find(fields.keyId)
      if (key === undefined) return { kind: 'invalid', why: 'unknown-key' }
      const left = fields.issuedAt + fields.ttlSeconds * 1000 - clock.now()
      if (left <= 0) return { kind: 'invalid', why: 'expired' }
      if (fields.binding === 'pod' && caller.kind === 'unknown') return { kind: 'undecided' }
      const bytes = Buffer.from(token, 'base64url')
      const uid = fields.binding === 'pod' ? uidOf(caller) : ''
      const genuine = timingSafeEqual(mac(key, bytes, address, uid), bytes.subarray(HEADER_BYTES))
      if (!genuine) return { kind: 'invalid', why: 'not-yours' }
      if (fields.binding === 'address') {
        if (caller.kind === 'unknown') return { kind: 'undecided' }
        if (caller.kind === 'pod' && !mayAdopt(token, fields.issuedAt, caller)) {
          return { kind: 'invalid', why: 'not-yours' }
        }
      }
      // A clock that was set back must not make a session longer than it was.
      return { kind: 'valid', remainingSeconds: Math.min(Math.floor(left / 1000), fields.ttlSeconds) }
    },
  }
}

/** Reads a token without judging it; `undefined` where the text is none of ours. */
export function parseToken(token: string): TokenFields | undefined {
  if (!TOKEN_TEXT.test(token)) return undefined
  const bytes = Buffer.from(token, 'base64url')
  const first = bytes[0]
  if (first !== BINDINGS.pod && first !== BINDINGS.address) return undefined
  const ttlSeconds = bytes.readUIntBE(11, 3)
  if (ttlSeconds < 1 || ttlSeconds > LONGEST_TTL_SECONDS) return undefined
  return {
    binding: first === BINDINGS.pod ? 'pod' : 'address',
    keyId: bytes.readUInt32BE(1),
    issuedAt: bytes.readUIntBE(5, 6),
    ttlSeconds,
  }
}

/** Parses the TTL header as the metadata service does: decimal digits, 1 to 21600; `undefined` is a 400. */
export function parseTtlSeconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,5}$/.test(text)) return undefined
  const seconds = Number(text)
  return seconds >= 1 && seconds <= LONGEST_TTL_SECONDS ? seconds : undefined
}

const uidOf = (caller: CallerAnswer): string => (caller.kind === 'pod' ? caller.caller.uid : '')

function mac(key: TokenKey, token: Buffer, address: string, uid: string): Buffer {
  return createHmac('sha256', key.key)
    .update(token.subarray(0, HEADER_BYTES))
    .update(`${address}\n${uid}`)
    .digest()
    .subarray(0, TOKEN_BYTES - HEADER_BYTES)
}
