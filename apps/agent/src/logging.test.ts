import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@kube2iam-ts/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toText } from './log-line.ts'
import { createLogging } from './logging.ts'

const line = (fields: Record<string, unknown>) =>
  toText(JSON.stringify({ time: 't', level: 'info', msg: 'm', ...fields }))

test('plain words stand as they are, everything else in quotes', () => {
  expect(line({ pod: 'default/web-0', lost: 3, reason: 'no space', parts: ['a', 'b'] })).toBe(
    'time=t level=info msg=m pod=default/web-0 lost=3 reason="no space" parts="[\\"a\\",\\"b\\"]"\n',
  )
})

test('nothing that somebody wrote moves, hides or reverses the text around it', () => {
  const said = line({ role: 'a\u009b2Jb\u202ec\u2028d\u007fe' })
  expect(said).not.toMatch(/[\u007f-\u009f\u202e\u2028]/)
  expect(said).toContain('a\\u009b2Jb\\u202ec\\u2028d\\u007fe')
})

let directory: string
let fd: number
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'logging-'))
  fd = openSync(join(directory, 'log'), 'w')
})
afterEach(() => {
  closeSync(fd)
  rmSync(directory, { recursive: true, force: true })
})
const written = () => readFileSync(join(directory, 'log'), 'utf8').split('\n').slice(0, -1)
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

test.each(['json', 'text'] as const)(
  '%s lines wait for one another, and come in their order',
  async (format) => {
    const { log } = createLogging({ format, level: 'info', fd, waitMs: 10 })
    for (let at = 0; at < 20; at += 1) log.write('info', 'request', { at })
    expect(written()).toHaveLength(0)
    await until(() => written().length > 0)
    expect(written()).toHaveLength(20)
    log.write('info', 'later')
    await until(() => written().length > 20)
    expect(written().at(-1)).toContain('later')
  },
)

test('a warning does not wait, nor what was said before it', async () => {
  const { log } = createLogging({ format: 'json', level: 'info', fd, waitMs: 3_600_000 })
  log.write('info', 'before')
  log.write('warn', 'a warning')
  await until(() => written().length === 2)
  expect(written().map((one) => (JSON.parse(one) as { msg: string }).msg)).toEqual(['before', 'a warning'])
})

test('what may change afterwards is written as it was, and between the lines that it was said between', async () => {
  const { log } = createLogging({ format: 'json', level: 'info', fd, waitMs: 10 })
  const parts = ['a']
  log.write('info', 'before')
  log.write('info', 'parts', { parts, secret: new Secret('hidden'), error: new Error('trouble') })
  log.write('info', 'after', { at: 1 })
  parts.push('b')
  await until(() => written().length === 3)
  const lines = written().map((one) => JSON.parse(one) as Record<string, unknown>)
  expect(lines.map(({ msg }) => msg)).toEqual(['before', 'parts', 'after'])
  expect(lines[1]).toMatchObject({ parts: ['a'], secret: '[redacted]', error: { message: 'trouble' } })
})

test('a block is written without waiting, and a long one in parts', async () => {
  const { log } = createLogging({ format: 'json', level: 'info', fd, waitMs: 3_600_000 })
  for (let at = 0; at < 128; at += 1) log.write('info', 'request', { at, long: 'x'.repeat(1_000) })
  await until(() => written().length === 128)
  expect(written().map((one) => (JSON.parse(one) as { at: number }).at)).toEqual(
    Array.from({ length: 128 }, (_, at) => at),
  )
})

test('a line has the time at which it was said', async () => {
  const { log } = createLogging({ format: 'json', level: 'info', fd, waitMs: 3_600_000 })
  const before = Date.now()
  log.write('info', 'early')
  const after = Date.now()
  while (Date.now() < after + 5);
  log.write('warn', 'late')
  await until(() => written().length === 2)
  const [early = 0, late = 0] = written().map((one) => Date.parse((JSON.parse(one) as { time: string }).time))
  expect(early).toBeGreaterThanOrEqual(before)
  expect(early).toBeLessThanOrEqual(after)
  expect(late).toBeGreaterThan(after)
})

test('flush leaves nothing unwritten', () => {
  const { log, flush } = createLogging({ format: 'json', level: 'info', fd })
  for (let at = 0; at < 5_000; at += 1) log.write('info', 'request', { at })
  flush()
  expect(written()).toHaveLength(5_000)
})

test.each(['process.exit(3)', 'setTimeout(() => {}, 0)', "throw new Error('nobody catches this')"])(
  'the last line is written when the process ends by %s',
  (ending) => {
    const script = `import { createLogging } from ${JSON.stringify(new URL('logging.ts', import.meta.url).href)}
      createLogging({ format: 'json', level: 'info' }).log.write('info', 'the last words')
      ${ending}`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 })
    expect(child.stderr.toString()).toContain('the last words')
  },
)
