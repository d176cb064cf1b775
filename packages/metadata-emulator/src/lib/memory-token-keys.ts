import { createSecretKey, randomBytes } from 'node:crypto'
import type { TokenKeys } from './token-keys.ts'

/** One key for the life of the process: for tests, and for a node without a place to keep keys. */
export function createMemoryTokenKeys(): TokenKeys {
  const only = { id: randomBytes(4).readUInt32BE(), key: createSecretKey(randomBytes(32)) }
  return {
    current: () => only,
    find: (id) => (id === only.id ? only : undefined),
    status: () => ({ kind: 'memory' }),
  }
}
