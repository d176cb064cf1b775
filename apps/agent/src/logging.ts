import type { Log, LogFields, LogLevel } from '@kube2iam-ts/agent-runtime'
import { quoted } from '@kube2iam-ts/core'
import pino from 'pino'

export interface LoggingOptions {
  readonly format: 'text' | 'json'
  readonly level: LogLevel | 'fatal'
}

/** The log, and a way to have every line of it written before the process ends. */
export interface Logging {
  readonly log: Log
  flush(): void
}

/** What may wait for whoever reads the log; later lines are lost while nobody does, rather than the node's memory. */
const MOST_WAITING_CHARACTERS = 1_048_576

/** Lines on standard error, by the keys that logrus uses (`time`, `level`, `msg`), so that existing parsers go on working. */
export function createLogging({ format, level }: LoggingOptions): Logging {
  const destination = pino.destination({ dest: 2, sync: false, maxLength: MOST_WAITING_CHARACTERS })
  const stream =
    format === 'json' ? destination : { write: (line: string) => destination.write(toText(line)) }
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    stream,
  )
  return {
    log: {
      enabled: (asked) => logger.isLevelEnabled(asked),
      write: (at: LogLevel, message: string, fields?: LogFields) => logger[at](fields ?? {}, message),
    },
    flush: () => destination.flushSync(),
  }
}

/** `time="…" level=info msg="…" key=value`: logrus's text format, from pino's line. */
export function toText(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const pairs = Object.entries({ time, level, msg, ...fields }).map(
    ([key, value]) => `${key}=${textOf(value)}`,
  )
  return `${pairs.join(' ')}\n`
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // What needs no quotes in logrus, plus the colon of times and addresses.
  return /^[\w./@^+:-]+$/.test(text) && typeof value !== 'object' ? text : quoted(text)
}
