import type { Problem } from './problem.ts'
import { nearest } from './problem.ts'
import type { Position, SourceValue } from './yaml-source.ts'
import { toPlain } from './yaml-source.ts'

export type JsonSchema = Readonly<Record<string, unknown>>

/** Collects what is wrong while a document is read. */
export interface Reading {
  readonly file: string
  readonly problems: Problem[]
}

/** What a value must be: reads it, saying what is wrong and where, and describes itself as JSON Schema. */
export interface Shape<Value> {
  /** `undefined` when something was wrong; the problem has been recorded. */
  read(source: SourceValue, path: string, reading: Reading): Value | undefined
  readonly schema: JsonSchema
  /** "a duration such as 45m": completes "expected …". */
  readonly expected: string
}

/** The value of a shape. */
export type ValueOf<S> = S extends Shape<infer Value> ? Value : never

export function problem(reading: Reading, at: Position, path: string, message: string): undefined {
  reading.problems.push({ file: reading.file, line: at.line, column: at.column, path, message })
  return undefined
}

/** What was found, for messages. */
export function found(source: SourceValue): string {
  if (source.kind === 'map') return 'a map'
  if (source.kind === 'list') return 'a list'
  if (source.value === null) return 'nothing'
  const text = JSON.stringify(source.value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** A shape of one scalar: `parse` returns the value, or a sentence that says why not. */
export function scalar<Value>(options: {
  expected: string
  schema: JsonSchema
  parse: (value: string | number | boolean | null) => { value: Value } | string | undefined
}): Shape<Value> {
  return {
    expected: options.expected,
    schema: options.schema,
    read(source, path, reading) {
      const parsed = source.kind === 'scalar' ? options.parse(source.value) : undefined
      if (typeof parsed === 'object') return parsed.value
      const why = typeof parsed === 'string' ? `; ${parsed}` : ''
      return problem(reading, source.at, path, `expected ${options.expected}, found ${found(source)}${why}`)
    },
  }
}

export const text = (expected = 'text', pattern?: RegExp): Shape<string> =>
  scalar({
    expected,
    schema: { type: 'string', ...(pattern === undefined ? {} : { pattern: pattern.source }) },
    parse: (value) =>
      typeof value === 'string' && value !== '' && (pattern === undefined || pattern.test(value))
        ? { value }
        : undefined,
  })

/** Text that may be empty, or a number or boolean taken as its text, as annotations and flags are. */
export const looseText: Shape<string> = scalar({
  expected: 'text',
  schema: { type: ['string', 'number', 'boolean'] },
  parse: (value) => (value === null ? undefined : { value: String(value) }),
})

export const flag: Shape<boolean> = scalar({
  expected: 'true or false',
  schema: { type: 'boolean' },
  parse: (value) => (typeof value === 'boolean' ? { value } : undefined),
})

export const whole = (min: number, max: number): Shape<number> =>
  scalar({
    expected: `a whole number from ${min} to ${max}`,
    schema: { type: 'integer', minimum: min, maximum: max },
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? { value }
        : undefined,
  })

export const number = (min: number, max: number): Shape<number> =>
  scalar({
    expected: `a number from ${min} to ${max}`,
    schema: { type: 'number', minimum: min, maximum: max },
    parse: (value) => (typeof value === 'number' && value >= min && value <= max ? { value } : undefined),
  })

export const oneOf = <const Word extends string>(...words: readonly Word[]): Shape<Word> =>
  scalar({
    expected: words.length === 1 ? `"${words[0]}"` : `one of ${words.join(', ')}`,
    schema: { enum: words },
    parse: (value) => {
      const word = words.find((candidate) => candidate === value)
      if (word !== undefined) return { value: word }
      const near = typeof value === 'string' ? nearest(value, words) : undefined
      return near === undefined ? undefined : `did you mean ${near}?`
    },
  })

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `900ms`, `45m`, `1h30m`, `7d`, as milliseconds; bounded so that no scenario runs for ever. */
export const duration = (minMs = 0, maxMs = 31 * UNITS.d): Shape<number> =>
  scalar({
    expected: 'a duration such as 900ms, 45m or 1h30m',
    schema: { type: 'string', pattern: '^(\\d+(\\.\\d+)?(ms|s|m|h|d))+$' },
    parse: (value) => {
      if (value === 0) return { value: 0 }
      if (typeof value === 'number') return `a number needs a unit: ${value}s or ${value}m`
      if (typeof value !== 'string') return undefined
      const milliseconds = parseDuration(value)
      if (milliseconds === undefined) return undefined
      if (milliseconds < minMs) return `at least ${formatDuration(minMs)}`
      if (milliseconds > maxMs) return `at most ${formatDuration(maxMs)}`
      return { value: milliseconds }
    },
  })

export function parseDuration(value: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(value)) return undefined
  let total = 0
  for (const [, amount = '', unit = 's'] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * UNITS[unit as keyof typeof UNITS]
  }
  return Math.round(total)
}

/** The shortest exact text of a duration: `1h30m`, `250ms`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s'
  let rest = Math.abs(Math.round(milliseconds))
  let out = milliseconds < 0 ? '-' : ''
  for (const [unit, size] of Object.entries(UNITS).toReversed()) {
    const count = Math.floor(rest / size)
    if (count > 0) out += `${count}${unit}`
    rest -= count * size
  }
  return out
}

export interface ListOptions {
  /** A single item may stand without the list. */
  readonly lone?: boolean
  readonly max?: number
}

export function list<Value>(
  item: Shape<Value>,
  { lone = false, max = 10_000 }: ListOptions = {},
): Shape<Value[]> {
  const expected = `a list of ${item.expected}`
  return {
    expected,
    schema: lone
      ? { anyOf: [item.schema, { type: 'array', items: item.schema }] }
      : { type: 'array', items: item.schema },
    read(source, path, reading) {
      if (source.kind !== 'list') {
        if (!lone) return problem(reading, source.at, path, `expected ${expected}, found ${found(source)}`)
        const only = item.read(source, path, reading)
        return only === undefined ? undefined : [only]
      }
      if (source.items.length > max) return problem(reading, source.at, path, `at most ${max} entries`)
      const values = source.items.map((value, index) => item.read(value, `${path}[${index}]`, reading))
      return values.includes(undefined) ? undefined : (values as Value[])
    },
  }
}

/** A map from free keys. */
export function record<Value>(
  value: Shape<Value>,
  { key, keyExpected = 'a name' }: { key?: RegExp; keyExpected?: string } = {},
): Shape<ReadonlyMap<string, Located<Value>>> {
  return {
    expected: `a map from ${keyExpected} to ${value.expected}`,
    schema: {
      type: 'object',
      additionalProperties: value.schema,
      ...(key === undefined ? {} : { propertyNames: { pattern: key.source } }),
    },
    read(source, path, reading) {
      if (source.kind !== 'map') {
        return problem(reading, source.at, path, `expected ${this.expected}, found ${found(source)}`)
      }
      const result = new Map<string, Located<Value>>()
      let complete = true
      for (const entry of source.entries) {
        const inner = path === '' ? entry.key : `${path}.${entry.key}`
        if (key !== undefined && !key.test(entry.key)) {
          problem(
            reading,
            entry.keyAt,
            inner,
            `expected ${keyExpected} as the key, found ${JSON.stringify(entry.key)}`,
          )
          complete = false
          continue
        }
        const read = value.read(entry.value, inner, reading)
        if (read === undefined) complete = false
        else result.set(entry.key, { value: read, at: entry.keyAt, path: inner })
      }
      return complete ? result : undefined
    },
  }
}

/** A value that remembers where it was written, for checks that need the whole document. */
export interface Located<Value> {
  readonly value: Value
  readonly at: Position
  readonly path: string
}

export function located<Value>(shape: Shape<Value>): Shape<Located<Value>> {
  return {
    expected: shape.expected,
    schema: shape.schema,
    read(source, path, reading) {
      const value = shape.read(source, path, reading)
      return value === undefined ? undefined : { value, at: source.at, path }
    },
  }
}

/** Any YAML value, as plain data: IAM policies and Kubernetes objects bring their own rules. */
export const anything: Shape<{ readonly plain: unknown }> = {
  expected: 'any value',
  schema: {},
  read: (source) => ({ plain: toPlain(source) }),
}

export function map<From, To>(shape: Shape<From>, change: (value: From) => To): Shape<To> {
  return {
    expected: shape.expected,
    schema: shape.schema,
    read(source, path, reading) {
      const value = shape.read(source, path, reading)
      return value === undefined ? undefined : change(value)
    },
  }
}
