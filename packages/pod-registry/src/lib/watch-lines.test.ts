import { expect, test } from 'vitest'
import { watchLines } from './watch-lines.ts'

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

async function linesOf(...texts: string[]): Promise<unknown[]> {
  const lines: unknown[] = []
  for await (const line of watchLines(chunks(...texts))) lines.push(line)
  return lines
}

test('lines are put together from whatever pieces arrive', async () => {
  expect(await linesOf('{"a":', '1}\n{"b":2}', '\n\n{"c"', ':"é', '"}\n')).toEqual([
    { a: 1 },
    { b: 2 },
    { c: 'é' },
  ])
})

test('a character that is cut between two pieces is whole again', async () => {
  const bytes = Buffer.from('{"a":"漢"}\n')
  const lines: unknown[] = []
  async function* single(): AsyncGenerator<Uint8Array> {
    for (const byte of bytes) yield Buffer.from([byte])
  }
  for await (const line of watchLines(single())) lines.push(line)
  expect(lines).toEqual([{ a: '漢' }])
})

test('an end in the middle of a line says nothing of that line', async () => {
  expect(await linesOf('{"a":1}\n{"b"')).toEqual([{ a: 1 }])
})

test('a line that is no JSON ends the watch as FEED_WATCH_FAILED', async () => {
  await expect(linesOf('<html>\n')).rejects.toMatchObject({ code: 'FEED_WATCH_FAILED', retryable: true })
})

test('of a line that does not end no more than 16 MiB are held', async () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'a')
  let given = 0
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; given < 100; given += 1) yield megabyte
  }
  const first = watchLines(endless()).next()
  await expect(first).rejects.toMatchObject({
    code: 'FEED_WATCH_FAILED',
    message: expect.stringContaining('larger'),
  })
  expect(given).toBe(16)
})
