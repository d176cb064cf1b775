import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/**
 * Text that must not be seen. It prints, inspects and serialises as `[redacted]`, and its bytes live outside the
 * JavaScript heap, so that a heap snapshot does not contain them.
 */
export class Secret {
  readonly #bytes: Buffer

  constructor(text: string) {
    // allocUnsafeSlow: memory of its own, not a slice of a pool that other buffers share.
    const size = Buffer.byteLength(text)
    this.#bytes = Buffer.allocUnsafeSlow(size)
    this.#bytes.write(text)
  }

  /** The text itself. Call it where the bytes leave the process, and keep the result no longer than that. */
  reveal(): string {
    return this.#bytes.toString('utf8')
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
