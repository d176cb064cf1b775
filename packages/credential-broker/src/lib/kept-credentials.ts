import { type Clock, CodedError } from '@kube2iam-ts/core'
import type { NodeCredentials, NodeCredentialsProvider } from './node-credentials.ts'

/** The source is asked for newer ones when less life than this is left … */
const RENEW_BEFORE_MS = 15 * 60_000
/** … or half of what they lived when they came, for short ones; but no more often than this while they still work. */
const RENEW_EVERY_MS = 60_000
/** A source that has not answered by then never will. */
const SOURCE_TIMEOUT_MS = 10_000

/**
 * Keeps what a source gave: one question to it for all who ask at once, newer ones fetched well before the end, and
 * the old ones kept while they are good if the source does not answer.
 */
export function keepCredentials(source: NodeCredentialsProvider, clock: Clock): NodeCredentialsProvider {
  let kept: (NodeCredentials & { readonly renewAt: number }) | undefined
  let asking: Promise<NodeCredentials> | undefined

  /** With nobody's signal: the next caller wants the answer too. */
  async function fromSource(): Promise<NodeCredentials> {
    const timeout = new AbortController()
    const { promise: late, reject } = Promise.withResolvers<never>()
    const cancel = clock.after(SOURCE_TIMEOUT_MS, () => {
      timeout.abort()
      const message = `the source of the agent's own credentials did not answer within ${SOURCE_TIMEOUT_MS} ms`
      reject(new CodedError('NODE_CREDENTIALS_UNAVAILABLE', message, { retryable: true }))
    })
    try {
      return await Promise.race([source.get({ signal: timeout.signal }), late])
    } finally {
      cancel()
    }
  }

  function ask(): Promise<NodeCredentials> {
    asking ??= fromSource()
      .then((fresh) => {
        const left =
          fresh.expiration === undefined ? Number.POSITIVE_INFINITY : fresh.expiration.getTime() - clock.now()
        const wait = Math.max(RENEW_EVERY_MS, left - Math.min(RENEW_BEFORE_MS, left / 2))
        kept = { ...fresh, renewAt: clock.monotonic() + wait }
        return fresh
      })
      .finally(() => {
        asking = undefined
      })
    return asking
  }

  return {
    async get({ refused }) {
      const held = kept
      if (held === undefined || held.accessKeyId === refused) return ask()
      if (clock.monotonic() < held.renewAt) return held
      const isGood = held.expiration === undefined || held.expiration.getTime() > clock.now()
      if (!isGood) return ask()
      kept = { ...held, renewAt: clock.monotonic() + RENEW_EVERY_MS }
      // Good for a while yet: nobody waits for the newer ones, and if they do not come these still serve.
      ask().catch(() => {})
      return held
    },
  }
}
