import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isCoded } from '@kube2iam-ts/core'
import { collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMemoryTokenKeys } from './memory-token-keys.ts'
import { openTokenKeyDirectory } from './token-key-directory.ts'
import type { TokenKeysEvent } from './token-keys.ts'

const HOUR = 3_600_000
let parent: string
let directory: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'token-keys-'))
  directory = join(parent, 'keys')
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

const thrown = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

test('a second agent on the node signs with the first one’s key', () => {
  const clock = createFakeClock()
  const first = openTokenKeyDirectory({ directory, clock }).current()
  const second = openTokenKeyDirectory({ directory, clock }).current()
  expect(second.id).toBe(first.id)
  expect(second.key.equals(first.key)).toBe(true)
})

test('keys are files that nobody else can read, in a directory that nobody else can enter', () => {
  openTokenKeyDirectory({ directory, clock: createFakeClock() })
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  const files = readdirSync(directory)
  expect(files).toHaveLength(1)
  expect(statSync(join(directory, files[0]!)).mode & 0o777).toBe(0o600)
})

test('after a rotation the old key still verifies for one period, and is then gone from the disk', async () => {
  const clock = createFakeClock()
  const keys = openTokenKeyDirectory({ directory, clock, rotateEveryMs: 6 * HOUR })
  const old = keys.current()
  await clock.advance(6 * HOUR)
  const next = keys.current()
  expect(next.id).toBe(old.id + 1)
  expect(next.key.equals(old.key)).toBe(false)
  expect(keys.find(old.id)?.key.equals(old.key)).toBe(true)
  await clock.advance(6 * HOUR)
  keys.current()
  expect(keys.find(old.id)).toBeUndefined()
  expect(readdirSync(directory)).toEqual([`${next.id}.key`, `${next.id + 1}.key`])
})

test('a new agent verifies what the old one signed after rotating first', async () => {
  const clock = createFakeClock()
  const newAgent = openTokenKeyDirectory({ directory, clock, rotateEveryMs: 6 * HOUR })
  const ahead = createFakeClock(new Date(clock.now() + 6 * HOUR))
  const rotated = openTokenKeyDirectory({ directory, clock: ahead, rotateEveryMs: 6 * HOUR }).current()
  expect(newAgent.find(rotated.id)?.key.equals(rotated.key)).toBe(true)
})

test('an ID that no key has finds none, and makes no file', () => {
  const clock = createFakeClock()
  const keys = openTokenKeyDirectory({ directory, clock })
  expect(keys.find(0)).toBeUndefined()
  expect(keys.find(keys.current().id + 1)).toBeUndefined()
  expect(keys.find(keys.current().id - 1)).toBeUndefined()
  expect(readdirSync(directory)).toHaveLength(1)
})

test('a key that others can read is refused, and the message says what to do', () => {
  const clock = createFakeClock()
  openTokenKeyDirectory({ directory, clock })
  chmodSync(join(directory, readdirSync(directory)[0]!), 0o644)
  const error = thrown(() => openTokenKeyDirectory({ directory, clock }))
  expect(isCoded(error, 'TOKEN_KEY_UNSAFE')).toBe(true)
  expect(String(error)).toContain('remove it')
})

test('a key of the wrong length is refused', () => {
  const clock = createFakeClock()
  openTokenKeyDirectory({ directory, clock })
  writeFileSync(join(directory, readdirSync(directory)[0]!), 'short')
  expect(
    isCoded(
      thrown(() => openTokenKeyDirectory({ directory, clock })),
      'TOKEN_KEY_UNSAFE',
    ),
  ).toBe(true)
})

test('a directory that cannot be made is a coded failure', () => {
  writeFileSync(join(parent, 'file'), '')
  const error = thrown(() =>
    openTokenKeyDirectory({ directory: join(parent, 'file', 'keys'), clock: createFakeClock() }),
  )
  expect(isCoded(error, 'TOKEN_KEY_UNAVAILABLE')).toBe(true)
})

test('a rotation faster than the longest token is refused', () => {
  const error = thrown(() =>
    openTokenKeyDirectory({ directory, clock: createFakeClock(), rotateEveryMs: HOUR }),
  )
  expect(isCoded(error, 'TOKEN_KEY_UNAVAILABLE')).toBe(true)
})

describe('a directory that fails at a rotation', () => {
  const open = () => {
    const clock = createFakeClock()
    const { events, report } = collectReports<TokenKeysEvent>()
    const keys = openTokenKeyDirectory({ directory, clock, rotateEveryMs: 6 * HOUR, report })
    return { clock, events, keys }
  }
  const breakIt = () => {
    rmSync(directory, { recursive: true })
    writeFileSync(directory, '')
  }
  const mendIt = () => {
    rmSync(directory)
    mkdirSync(directory, { mode: 0o700 })
  }

  test('leaves the last key signing, and is told once', async () => {
    const { clock, events, keys } = open()
    const last = keys.current()
    expect(keys.status()).toEqual({ kind: 'kept' })
    breakIt()
    await clock.advance(6 * HOUR)
    for (let turn = 0; turn < 100; turn += 1) expect(keys.current().id).toBe(last.id)
    expect(events).toMatchObject([{ kind: 'token-key-trouble', error: { code: 'TOKEN_KEY_UNAVAILABLE' } }])
    expect(keys.status()).toMatchObject({ kind: 'trouble', error: { code: 'TOKEN_KEY_UNAVAILABLE' } })
  })

  test('does not end the tokens of the key that goes on signing, however long it takes', async () => {
    const { clock, keys } = open()
    const last = keys.current()
    breakIt()
    await clock.advance(60 * HOUR)
    expect(keys.current().id).toBe(last.id)
    expect(keys.find(last.id)?.key.equals(last.key)).toBe(true)
    mendIt()
    await clock.advance(60_000)
    expect(keys.current().id).toBe(last.id + 10)
    expect(keys.find(last.id)?.key.equals(last.key)).toBe(true)
    await clock.advance(12 * HOUR)
    keys.current()
    expect(keys.find(last.id)).toBeUndefined()
  })

  test('is tried again each minute, and its end is told', async () => {
    const { clock, events, keys } = open()
    const last = keys.current()
    breakIt()
    await clock.advance(6 * HOUR)
    keys.current()
    mendIt()
    await clock.advance(59_999)
    expect(keys.current().id).toBe(last.id)
    await clock.advance(1)
    expect(keys.current().id).toBe(last.id + 1)
    expect(keys.status()).toEqual({ kind: 'kept' })
    expect(events.map((one) => one.kind)).toEqual(['token-key-trouble', 'token-key-recovered'])
  })

  test('finds no key that it cannot read, instead of failing', () => {
    const { events, keys } = open()
    const { id } = keys.current()
    breakIt()
    expect(keys.find(id - 1)).toBeUndefined()
    expect(events.map((one) => one.kind)).toEqual(['token-key-trouble'])
  })
})

test('drafts that a killed agent left are removed, and one in the making is not', () => {
  const clock = createFakeClock()
  const { id } = openTokenKeyDirectory({ directory, clock }).current()
  const drafts = [`.${id - 2}-0123456789ab`, `.${id}-0123456789ab`]
  for (const name of drafts) writeFileSync(join(directory, name), '')
  openTokenKeyDirectory({ directory, clock })
  expect(readdirSync(directory).toSorted()).toEqual([drafts[1], `${id}.key`])
})

test('keys in memory say that they are', () => {
  expect(createMemoryTokenKeys().status()).toEqual({ kind: 'memory' })
})
