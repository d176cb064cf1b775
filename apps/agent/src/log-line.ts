import type { LogFields, LogLevel } from '@kube2iam-ts/agent-runtime'
import { quoted } from '@kube2iam-ts/core'

/** Fields that hold words and numbers and nothing that could change, or have to be looked into. */
export type PlainFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Puts a line together, its end included. */
export type LineFormat = (level: LogLevel, time: string, message: string, fields: PlainFields) => string

/** Whether the fields can be had without pino. */
export function isPlain(fields: LogFields): fields is PlainFields {
  for (const key in fields) {
    const kind = typeof fields[key]
    if (kind !== 'string' && kind !== 'number' && kind !== 'boolean' && kind !== 'undefined') return false
  }
  return true
}

// What JSON writes as it stands between quotes. Everything else is left to JSON.stringify, which is right and slower.
const PLAIN_JSON = /^[ !#-[\]-~]*$/
// What needs no quotes in logrus, plus the colon of times and addresses.
const PLAIN_TEXT = /^[\w./@^+:-]+$/

/** Byte for byte what pino writes, without its walk through serializers, chindings and formatters. */
export const jsonLine: LineFormat = (level, time, message, fields) => {
  let line = `{"level":"${level}","time":"${time}"`
  for (const key in fields) {
    const value = fields[key]
    if (typeof value === 'string') line += `,${jsonText(key)}:${jsonText(value)}`
    else if (value !== undefined) line += `,${jsonText(key)}:${finite(value)}`
  }
  return `${line},"msg":${jsonText(message)}}\n`
}

const jsonText = (text: string): string => (PLAIN_JSON.test(text) ? `"${text}"` : JSON.stringify(text))

/** What JSON has no number for is null. */
const finite = (value: number | boolean): number | boolean | null =>
  typeof value === 'number' && !Number.isFinite(value) ? null : value

/** `time=… level=info msg="…" key=value`: logrus's text format. */
export const textLine: LineFormat = (level, time, message, fields) => {
  let line = `time=${textOf(time)} level=${level} msg=${textOf(message)}`
  for (const key in fields) {
    const value = fields[key]
    if (value !== undefined) line += ` ${key}=${textOf(typeof value === 'string' ? value : finite(value))}`
  }
  return `${line}\n`
}

/** The same from pino's line. */
export function toText(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const pairs = Object.entries({ time, level, msg, ...fields }).map(
    ([key, value]) => `${key}=${textOf(value)}`,
  )
  return `${pairs.join(' ')}\n`
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return PLAIN_TEXT.test(text) && typeof value !== 'object' ? text : quoted(text)
}
