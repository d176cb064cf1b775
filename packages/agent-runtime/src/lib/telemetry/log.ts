export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** Fields of a log line. Secrets redact themselves by type. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where log lines go. The message is constant, so that lines can be counted by it; what varies is in the fields. */
export interface Log {
  /** Whether lines of the level are written, for whoever would have to work for the fields. */
  enabled(level: LogLevel): boolean
  write(level: LogLevel, message: string, fields?: LogFields): void
}
