import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Clock, CodedError, type Report } from '@kube2iam-ts/core'
import type { TokenKey, TokenKeys, TokenKeysEvent } from './token-keys.ts'

export interface TokenKeyDirectoryOptions {
  /** A directory of the node that outlives the agent's container, such as `/run/kube2iam/token-keys`. */
  readonly directory: string
  readonly clock: Clock
  /** How long a key signs. It verifies for as long again, which must outlast the longest token: six hours at least. */
  readonly rotateEveryMs?: number
  readonly report?: Report<TokenKeysEvent>
}

const DAY_MS = 86_400_000
const SHORTEST_ROTATION_MS = 6 * 3_600_000
const KEY_BYTES = 32
const RETRY_MS = 60_000

/**
 * Keys that survive the agent: one file (mode 0600) for each period, named by the period's number, which is also the
 * key's ID. A file is made complete and then linked into place, and never changed, so that any number of agents on
 * the node agree without a lock: the first one's key is everybody's.
 *
 * Throws `TOKEN_KEY_UNSAFE` where a key could be read or written by others, and `TOKEN_KEY_UNAVAILABLE` (retryable)
 * where the directory cannot be used. What fails later is reported and tried again each minute, while the last key
 * goes on signing.
 */
export function openTokenKeyDirectory(options: TokenKeyDirectoryOptions): TokenKeys {
  const { directory, clock, rotateEveryMs = DAY_MS, report = () => {} } = options
  if (rotateEveryMs < SHORTEST_ROTATION_MS) {
    throw new CodedError(
      'TOKEN_KEY_UNAVAILABLE',
      `token keys cannot rotate every ${rotateEveryMs} ms: tokens live for up to ${SHORTEST_ROTATION_MS} ms`,
    )
  }
  const held = new Map<number, KeyObject>()
  /** In which period a key last signed: its tokens may live for one more. */
  const signedIn = new Map<number, number>()
  let trouble: { readonly error: CodedError; readonly retryAt: number } | undefined
  const period = (): number => Math.floor(clock.now() / rotateEveryMs)
  const mayVerify = (id: number, now: number): boolean =>
    // The next period's key is another agent's whose clock reading was a moment later.
    Math.abs(id - now) <= 1 || (signedIn.get(id) ?? Number.NEGATIVE_INFINITY) >= now - 1

  const obtain = (id: number): TokenKey => {
    const bytes = readKey(directory, id)
    const known = held.get(id)
    if (known !== undefined) return { id, key: known }
    const key = createSecretKey(bytes ?? makeKey(directory, id))
    held.set(id, key)
    for (const old of held.keys()) if (!mayVerify(old, id)) held.delete(old)
    for (const old of signedIn.keys()) if (!held.has(old)) signedIn.delete(old)
    removeOld(directory, id)
    return { id, key }
  }

  /** What the work brings, or `undefined` where the directory fails, which is told when it begins and when it ends. */
  const attempt = <Result>(work: () => Result): Result | undefined => {
    try {
      const result = guarded(directory, work)
      if (trouble !== undefined) report({ kind: 'token-key-recovered' })
      trouble = undefined
      return result
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      if (trouble === undefined) report({ kind: 'token-key-trouble', error })
      trouble = { error, retryAt: clock.monotonic() + RETRY_MS }
      return undefined
    }
  }

  let last = guarded(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return obtain(period())
  })

  /** Tokens are no authorisation, and a pod without them has no credentials: an old key is better than none. */
  const signing = (id: number): TokenKey => {
    if (last.id === id && trouble === undefined) return last
    const isDue = trouble === undefined || trouble.retryAt <= clock.monotonic()
    last = (isDue ? attempt(() => obtain(id)) : undefined) ?? last
    return last
  }

  return {
    current() {
      const now = period()
      const key = signing(now)
      signedIn.set(key.id, now)
      return key
    },
    find(id) {
      if (!mayVerify(id, period())) return undefined
      const known = held.get(id)
      if (known !== undefined) return { id, key: known }
      const bytes = attempt(() => readKey(directory, id))
      if (bytes === undefined) return undefined
      const key = createSecretKey(bytes)
      held.set(id, key)
      return { id, key }
    },
    status: () => (trouble === undefined ? { kind: 'kept' } : { kind: 'trouble', error: trouble.error }),
  }
}

const fileOf = (directory: string, id: number): string => join(directory, `${id}.key`)

function readKey(directory: string, id: number): Buffer | undefined {
  const file = fileOf(directory, id)
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const { mode, uid } = fstatSync(descriptor)
    const own = process.getuid?.() ?? uid
    if ((mode & 0o077) !== 0 || uid !== own) {
      throw new CodedError(
        'TOKEN_KEY_UNSAFE',
        `${file} can be read or written by others than this agent: remove it, and the agent makes a new one`,
        { detail: { file, mode: (mode & 0o777).toString(8), uid } },
      )
    }
    const bytes = readFileSync(descriptor)
    if (bytes.length === KEY_BYTES) return bytes
    throw new CodedError('TOKEN_KEY_UNSAFE', `${file} is not a token key: remove it`, { detail: { file } })
  } finally {
    closeSync(descriptor)
  }
}

/** Makes the key, or takes the one that somebody else made in the same moment. */
function makeKey(directory: string, id: number): Buffer {
  const bytes = randomBytes(KEY_BYTES)
  const draft = join(directory, `.${id}-${randomBytes(6).toString('hex')}`)
  writeFileSync(draft, bytes, { mode: 0o600, flag: 'wx' })
  try {
    chmodSync(draft, 0o600)
    linkSync(draft, fileOf(directory, id))
    return bytes
  } catch (error) {
    const made = codeOf(error) === 'EEXIST' ? readKey(directory, id) : undefined
    if (made === undefined) throw error
    return made
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Old keys, and drafts that an agent left which was killed while it made one. */
function removeOld(directory: string, id: number): void {
  try {
    for (const name of readdirSync(directory)) {
      const number = /^(?:(\d+)\.key|\.(\d+)-[0-9a-f]{12})$/.exec(name)
      const of = number?.[1] ?? number?.[2]
      if (of !== undefined && Number(of) < id - 1) rmSync(join(directory, name), { force: true })
    }
  } catch {
    // The key of this period is there, which is what matters; the next period tries again.
  }
}

function guarded<Result>(directory: string, work: () => Result): Result {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof CodedError) throw cause
    throw new CodedError('TOKEN_KEY_UNAVAILABLE', `token keys cannot be kept in ${directory}`, {
      retryable: true,
      cause,
      detail: { directory },
    })
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
