/**
 * A failure that callers can act on. Match on `code`, not on the class: two copies of this package may be loaded.
 * Refusals (no role, namespace forbids) are values and never one of these.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** What a log line should carry beside the message. Never a secret. */
  readonly detail: Readonly<Record<string, unknown>>

  constructor(code: Code, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CodedError'
    this.code = code
    this.retryable = options.retryable ?? false
    this.detail = options.detail ?? {}
  }
}

export interface CodedErrorOptions {
  retryable?: boolean
  cause?: unknown
  detail?: Readonly<Record<string, unknown>>
}

/** Whether the value is a coded error, of this or of another copy of the package; with `code`, of that code. */
export function isCoded<Code extends string>(value: unknown, code?: Code): value is CodedError<Code> {
  return (
    value instanceof Error &&
    'code' in value &&
    typeof value.code === 'string' &&
    'retryable' in value &&
    typeof value.retryable === 'boolean' &&
    (code === undefined || value.code === code)
  )
}

/** The error of an operation whose signal was aborted; code `ABORTED`. */
export function aborted(signal?: AbortSignal): CodedError<'ABORTED'> {
  return new CodedError('ABORTED', 'the operation was aborted', { cause: signal?.reason })
}
