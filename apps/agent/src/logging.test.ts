import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogging, toText } from './logging.ts'

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
