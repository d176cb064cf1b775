import type { Log, LogFields, LogLevel } from '@kube2iam-ts/agent-runtime'
import pino from 'pino'
import { isPlain, jsonLine, type PlainFields, textLine, toText } from './log-line.ts'

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
const MOST_WAITING_BYTES = 1_048_576

/** Lines that are put together and written at once; a write wakes a thread, and a pipe takes more than these. … */
const BLOCK_LINES = 128
/** … More than so many characters are written in parts, … */
const BLOCK_CHARACTERS = 32_768
/** … and fewer lines after a time that nobody who follows the log notices. */
const WAIT_MS = 100

/** The part that is used of pino's writer, whose types know text only. */
interface Destination {
  /** No write begins before so much waits. */
  minLength: number
  write(block: Uint8Array): boolean
  flushSync(): void
}

/** A line of a moment, to be put together with others: see `createLogging`. */
interface Entry {
  readonly level: LogLevel
  readonly at: number
  readonly message: string
  readonly fields: PlainFields
}

/**
 * Lines on standard error, by the keys that logrus uses (`time`, `level`, `msg`), so that existing parsers go on working.
 *
 * Every request is a line. Making it at once, between what the network needs, cost a request as much as all that the
 * emulator does for it: cold code, and half a line's strings for the collector to carry about. So what is said in words
 * and numbers is kept as it is, and a block of it becomes text in one go. Whatever else is said, pino puts into words at
 * once: objects may change.
 */
export function createLogging({ format, level, fd = 2, waitMs = WAIT_MS }: LoggingOptions): Logging {
  // Without a `minLength`: for each line that comes, its writer would measure all that waits once more.
  const destination = pino.destination({
    dest: fd,
    sync: false,
    maxLength: MOST_WAITING_BYTES,
    contentMode: 'buffer',
  }) as unknown as Destination
  const plainLine = format === 'json' ? jsonLine : textLine
  const timeText = createTimeText()
  let waiting: (Entry | string)[] = []
  let timer: NodeJS.Timeout | undefined

  const writeOut = (): void => {
    clearTimeout(timer)
    timer = undefined
    const lines = waiting
    waiting = []
    let block = ''
    for (const line of lines) {
      block +=
        typeof line === 'string' ? line : plainLine(line.level, timeText(line.at), line.message, line.fields)
      if (block.length >= BLOCK_CHARACTERS) {
        destination.write(Buffer.from(block))
        block = ''
      }
    }
    if (block !== '') destination.write(Buffer.from(block))
  }
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${timeText(Date.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    { write: (line: string) => void waiting.push(format === 'json' ? line : toText(line)) },
  )
  const flush = (): void => {
    // A write that was begun in another thread is not waited for when the process ends: none is begun for these.
    destination.minLength = Number.POSITIVE_INFINITY
    writeOut()
    destination.flushSync()
    destination.minLength = 0
  }
  // However the process ends, short of a kill, its last lines say why.
  process.once('exit', flush)
  return {
    log: {
      enabled: (asked) => logger.isLevelEnabled(asked),
      write(at: LogLevel, message: string, fields: LogFields = NO_FIELDS) {
        if (!logger.isLevelEnabled(at)) return
        if (isPlain(fields)) waiting.push({ level: at, at: Date.now(), message, fields })
        else logger[at](fields, message)
        if (at === 'warn' || at === 'error' || waiting.length >= BLOCK_LINES) writeOut()
        else timer ??= setTimeout(writeOut, waitMs).unref()
      },
    },
    flush,
  }
}

const NO_FIELDS: LogFields = {}

/** A time in RFC 3339. Writing a date out is a sixth of a line's cost, and changes once a millisecond. */
function createTimeText(): (at: number) => string {
  let last = Number.NaN
  let text = ''
  return (at) => {
    if (at !== last) text = new Date(at).toISOString()
    last = at
    return text
  }
}
