import fc from 'fast-check'
import pino from 'pino'
import { expect, test } from 'vitest'
import { isPlain, jsonLine, type PlainFields, textLine, toText } from './log-line.ts'

const TIME = '2025-11-25T21:30:00.000Z'

/** What pino makes of the same. */
function byPino(message: string, fields: PlainFields): string {
  let line = ''
  const options = { base: null, timestamp: () => `,"time":"${TIME}"`, formatters: { level: named } }
  pino(options, { write: (text: string) => void (line = text) }).info(fields, message)
  return line
}
const named = (level: string) => ({ level })

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      '"',
      '\\',
      '\n',
      '\0',
      '\u001b',
      '\u007f',
      '\u2028',
      '\ud800',
      '\udc00',
      'é',
      ' ',
      '=',
    ),
  }),
)
// Half a character, pino writes as it is; a file then has a replacement character, where ours has an escape.
const wholeText = anyText.filter((text) => text.isWellFormed())
const plainFields = fc.dictionary(
  // pino's own keys would stand in a line twice; whole numbers are keys that change places when text is made of JSON.
  fc
    .oneof(wholeText, fc.constantFrom('pod', 'durationMs'))
    .filter((key) => !/^(?:time|level|msg|__proto__|\d+)$/.test(key)),
  fc.oneof(wholeText, fc.integer(), fc.double(), fc.boolean(), fc.constant(undefined)),
  { noNullPrototype: true },
)

test('a line of plain values is what pino writes, byte for byte', () => {
  fc.assert(
    fc.property(wholeText, plainFields, (message, fields) => {
      expect(jsonLine('info', TIME, message, fields)).toBe(byPino(message, fields))
    }),
  )
})

test('whatever somebody wrote, a line is one line of JSON that says it', () => {
  fc.assert(
    fc.property(anyText, anyText, (message, pod) => {
      const line = jsonLine('info', TIME, message, { pod })
      expect(line.indexOf('\n')).toBe(line.length - 1)
      expect(JSON.parse(line)).toEqual({ level: 'info', time: TIME, msg: message, pod })
    }),
  )
})

test('the text of plain values is what it is by way of JSON', () => {
  fc.assert(
    fc.property(wholeText, plainFields, (message, fields) => {
      expect(textLine('info', TIME, message, fields)).toBe(toText(byPino(message, fields)))
    }),
  )
})

test('what has to be looked into is not plain', () => {
  expect(isPlain({ a: 'b', c: 1, d: true, e: undefined })).toBe(true)
  for (const value of [null, {}, [], new Error('e'), new Date(), () => {}, 1n, Symbol('s')]) {
    expect(isPlain({ a: 'b', value })).toBe(false)
  }
})
