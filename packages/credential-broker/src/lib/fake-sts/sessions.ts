import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Random } from '@kube2iam-ts/core'

/** Who calls: a principal that was added, or a session that the fake issued. */
export interface Caller {
  /** As `GetCallerIdentity` reports it. */
  readonly arn: string
  /** `AROA…:session` of a role session, `AIDA…` of a user. */
  readonly userId: string
  readonly account: string
  /** The role behind a role session; `undefined` for users and root. */
  readonly roleArn: string | undefined
  /** Tags that this session hands on when it assumes another role. */
  readonly transitiveTags: Readonly<Record<string, string>>
  readonly sourceIdentity: string | undefined
}

export interface Issued {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
}

export type Opened =
  | { readonly kind: 'session'; readonly caller: Caller; readonly secretAccessKey: string }
  | { readonly kind: 'unknown' | 'expired' }

interface Claims {
  readonly caller: Caller
  readonly accessKeyId: string
  /** Milliseconds since the epoch. */
  readonly expires: number
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const PREFIX = 'FwoGZXIvYXdzE'

/**
 * Session credentials that say whose they are: the token carries the caller under a MAC, and the secret is derived
 * from the token, so that a fake that was restarted with the same key still knows what it issued.
 */
export function createSessions({ key, random }: { key: string; random: Random }) {
  const mac = (label: string, text: string) => createHmac('sha256', key).update(`${label} ${text}`).digest()
  const secretOf = (token: string) => mac('secret', token).toString('base64').slice(0, 40)

  return {
    issue(caller: Caller, expires: number): Issued {
      const accessKeyId = `ASIA${randomText(random, 16)}`
      const claims: Claims = { caller, accessKeyId, expires }
      const body = Buffer.from(JSON.stringify(claims)).toString('base64')
      const sessionToken = `${PREFIX}${body}${mac('token', body).toString('base64').slice(0, 43)}=`
      return { accessKeyId, secretAccessKey: secretOf(sessionToken), sessionToken }
    },

    open(accessKeyId: string, token: string, now: number): Opened {
      const body = token.slice(PREFIX.length, -44)
      const given = Buffer.from(token.slice(-44, -1))
      const right = Buffer.from(mac('token', body).toString('base64').slice(0, 43))
      const genuine =
        token.startsWith(PREFIX) && given.length === right.length && timingSafeEqual(given, right)
      if (!genuine) return { kind: 'unknown' }
      const claims = JSON.parse(Buffer.from(body, 'base64').toString()) as Claims
      if (claims.accessKeyId !== accessKeyId) return { kind: 'unknown' }
      if (claims.expires <= now) return { kind: 'expired' }
      return { kind: 'session', caller: claims.caller, secretAccessKey: secretOf(token) }
    },
  }
}

/** Letters and digits as in access key and role IDs. */
export function randomText(random: Random, length: number): string {
  return Array.from({ length }, () => ALPHABET[Math.floor(random() * ALPHABET.length)]).join('')
}
