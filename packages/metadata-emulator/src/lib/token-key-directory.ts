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
import { type Clock, CodedError } from '@kube2iam-ts/core'
import type { TokenKey, TokenKeys } from './token-keys.ts'

export interface TokenKeyDirectoryOptions {
  /** A directory of the node that outlives the agent's container, such as `/run/kube2iam/token-keys`. */
  readonly directory: string
  readonly clock: Clock
  /** How long a key signs. It verifies for as long again, which must outlast the longest token: six hours at least. */
  readonly rotateEveryMs?: number
}

const DAY_MS = 86_400_000
const SHORTEST_ROTATION_MS = 6 * 3_600_000
const KEY_BYTES = 32

/**
 * Keys that survive the agent: one file (mode 0600) for each period, named by the period's number, which is also the
 * key's ID. A file is made complete and then linked into place, and never changed, so that any number of agents on
 * the node agree without a lock: the first one's key is everybody's.
 *
 * Throws `TOKEN_KEY_UNSAFE` where a key could be read or written by others, and `TOKEN_KEY_UNAVAILABLE` (retryable)
 * where the directory cannot be used.
 */
export function openTokenKeyDirectory(options: TokenKeyDirectoryOptions): TokenKeys {
  const { directory, clock, rotateEveryMs = DAY_MS } = options
  if (rotateEveryMs < SHORTEST_ROTATION_MS) {
    throw new CodedError(
      'TOKEN_KEY_UNAVAILABLE',
      `token keys cannot rotate every ${rotateEveryMs} ms: tokens live for up to ${SHORTEST_ROTATION_MS} ms`,
    )
  }
  const held = new Map<number, KeyObject>()
  const period = (): number => Math.floor(clock.now() / rotateEveryMs)

  const obtain = (id: number): TokenKey => {
    const known = held.get(id)
    if (known !== undefined) return { id, key: known }
    const key = createSecretKey(readKey(directory, id) ?? makeKey(directory, id))
    held.set(id, key)
    for (const old of held.keys()) if (old < id - 1) held.delete(old)
    removeOldKeys(directory, id)
    return { id, key }
  }

  guarded(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    obtain(period())
  })

  return {
    current: () => guarded(directory, () => obtain(period())),
    find(id) {
      const now = period()
      // The next period's key is another agent's whose clock reading was a moment later.
      if (id !== now && id !== now - 1 && id !== now + 1) return undefined
      const known = held.get(id)
      if (known !== undefined) return { id, key: known }
      const bytes = guarded(directory, () => readKey(directory, id))
      if (bytes === undefined) return undefined
      const key = createSecretKey(bytes)
      held.set(id, key)
      return { id, key }
    },
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

function removeOldKeys(directory: string, id: number): void {
  for (const name of readdirSync(directory)) {
    const number = /^(\d+)\.key$/.exec(name)?.[1]
    if (number !== undefined && Number(number) < id - 1) rmSync(join(directory, name), { force: true })
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
