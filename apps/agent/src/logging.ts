import type { Log, LogFields, LogLevel } from '@kube2iam-ts/agent-runtime'
import { quoted } from '@kube2iam-ts/core'
import pino from 'pino'

export interface LoggingOptions {
  readonly format: 'text' | 'json'
  readonly level: LogLevel | 'fatal'
  /** Where lines go; standard error is 2. */
  readonly fd?: number
  /** How long a line that is no warning may wait for others to be written with. */
  readonly waitMs?: number
}

/** The log, and a way to have every line of it written before the process ends. */
export interface Logging {
  readonly log: Log
  flush(): void
}

/** What may wait for whoever reads the log; later lines are lost while nobody does, rather than the node's memory. */
const MOST_WAITING_CHARACTERS = 1_048_576

/** A write costs a request more than all else that is done for it: lines are written by the block, … */
const BLOCK_CHARACTERS = 8_192
/** … or after a time that nobody who follows the log notices. */
const WAIT_MS = 100

/** Lines on standard error, by the keys that logrus uses (`time`, `level`, `msg`), so that existing parsers go on working. */
export function createLogging({ format, level, fd = 2, waitMs = WAIT_MS }: LoggingOptions): Logging {
  const destination = pino.destination({
    dest: fd,
    sync: false,
    minLength: BLOCK_CHARACTERS,
    maxLength: MOST_WAITING_CHARACTERS,
  })
  const stream =
    format === 'json' ? destination : { write: (line: string) => destination.write(toText(line)) }
  const logger = pino(
    {
      level,
      base: null,
      timestamp: createTimestamp(),
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    stream,
  )
  let timer: NodeJS.Timeout | undefined
  const writeOut = (): void => {
    clearTimeout(timer)
    timer = undefined
    destination.flush()
  }
  const flush = (): void => destination.flushSync()
  // However the process ends, short of a kill, its last lines say why.
  process.once('exit', flush)
  return {
    log: {
      enabled: (asked) => logger.isLevelEnabled(asked),
      write(at: LogLevel, message: string, fields?: LogFields) {
        if (!logger.isLevelEnabled(at)) return
        logger[at](fields ?? {}, message)
        if (at === 'warn' || at === 'error') writeOut()
        else timer ??= setTimeout(writeOut, waitMs).unref()
      },
    },
    flush,
  }
}

/** The field `time` as pino takes it. Writing a date out is a sixth of a line's cost, and changes once a millisecond. */
function createTimestamp(): () => string {
  let at = Number.NaN
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== at) text = `,"time":"${new Date(now).toISOString()}"`
    at = now
    return text
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
