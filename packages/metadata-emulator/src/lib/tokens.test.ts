import { parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import type { CallerAnswer } from './credential-service.ts'
import { createMemoryTokenKeys } from './memory-token-keys.ts'
import { createTokens, parseToken } from './tokens.ts'

const address = parseIpAddress('10.0.0.1')
const unknown: CallerAnswer = { kind: 'unknown' }
const listed: CallerAnswer = { kind: 'listed' }

function open() {
  const clock = createFakeClock()
  const keys = createMemoryTokenKeys()
  const restart = () => createTokens({ keys, clock, random: createSeededRandom(1) })
  const pod = (
    uid: string,
    {
      createdAt = clock.now() - 60_000,
      boundAt = clock.now(),
      sandboxAt = undefined as number | undefined,
    } = {},
  ): CallerAnswer => ({
    kind: 'pod',
    caller: { uid, namespace: 'default', name: uid, createdAt, boundAt, sandboxAt },
  })
  return { clock, tokens: restart(), restart, pod }
}

test('a token says when it was issued, for how long, and with which key', () => {
  const { clock, tokens, pod } = open()
  expect(parseToken(tokens.issue(address, pod('a'), 300))).toEqual({
    binding: 'pod',
    keyId: expect.any(Number),
    issuedAt: clock.now(),
    ttlSeconds: 300,
  })
})

test('a token is good to the last millisecond and not after', async () => {
  const { clock, tokens, pod } = open()
  const token = tokens.issue(address, pod('a'), 300)
  await clock.advance(299_999)
  expect(tokens.verify(token, address, pod('a'))).toEqual({ kind: 'valid', remainingSeconds: 0 })
  await clock.advance(1)
  expect(tokens.verify(token, address, pod('a'))).toEqual({ kind: 'invalid', why: 'expired' })
})

test('a clock that is set back makes no session longer than it was', () => {
  const { clock, tokens, pod } = open()
  const token = tokens.issue(address, pod('a'), 300)
  clock.jump(-3_600_000)
  expect(tokens.verify(token, address, pod('a'))).toEqual({ kind: 'valid', remainingSeconds: 300 })
})

test('a token of an address without a pod waits for one', () => {
  const { tokens, pod } = open()
  const token = tokens.issue(address, unknown, 300)
  expect(tokens.verify(token, address, unknown)).toEqual({ kind: 'undecided' })
  expect(tokens.verify(token, address, pod('first')).kind).toBe('valid')
})

test('it is the first pod’s, and no later one’s', async () => {
  const { clock, tokens, pod } = open()
  const token = tokens.issue(address, unknown, 300)
  await clock.advance(5000)
  expect(tokens.verify(token, address, pod('first')).kind).toBe('valid')
  expect(tokens.verify(token, address, pod('second')).kind).toBe('invalid')
  expect(tokens.verify(token, address, pod('first')).kind).toBe('valid')
})

test('a pod that appears after a minute does not get it', async () => {
  const { clock, tokens, pod } = open()
  const token = tokens.issue(address, unknown, 300)
  await clock.advance(60_000)
  expect(tokens.verify(token, address, pod('in-time')).kind).toBe('valid')
  const other = tokens.issue(address, unknown, 300)
  await clock.advance(60_001)
  expect(tokens.verify(other, address, pod('late')).kind).toBe('invalid')
})

test('a pod that was made after its issue does not get it; a second of clock skew is forgiven', () => {
  const { clock, tokens, pod } = open()
  const issuedAt = clock.now()
  const verify = (createdAt: number) =>
    tokens.verify(tokens.issue(address, unknown, 300), address, pod('p', { createdAt })).kind
  expect(verify(issuedAt + 1000)).toBe('valid')
  expect(verify(issuedAt + 1001)).toBe('invalid')
})

test('after a restart the pod that has it keeps it, though the new agent saw the pod late', async () => {
  const { clock, tokens, restart, pod } = open()
  const token = tokens.issue(address, unknown, 21_600)
  const since = clock.now()
  await clock.advance(3_600_000)
  expect(restart().verify(token, address, pod('p', { createdAt: since - 2000 })).kind).toBe('valid')
  expect(restart().verify(token, address, pod('young', { createdAt: since + 5000 })).kind).toBe('invalid')
})

test('after a restart a pod that got the address long after the issue does not get it', async () => {
  const { clock, tokens, restart, pod } = open()
  const token = tokens.issue(address, unknown, 21_600)
  const since = clock.now()
  await clock.advance(3_600_000)
  const after = (sandboxAt: number) =>
    restart().verify(token, address, pod('p', { createdAt: since - 5000, sandboxAt })).kind
  expect(after(since - 2000)).toBe('valid')
  expect(after(since + 60_000)).toBe('valid')
  expect(after(since + 60_001)).toBe('invalid')
})

test('a pod that a former agent’s token finds at once needs nobody’s word for when it came', () => {
  const { clock, tokens, restart, pod } = open()
  const token = tokens.issue(address, unknown, 300)
  clock.jump(2000)
  // A sandbox that was made anew keeps its pod, and another address seldom.
  const caller = pod('p', { sandboxAt: clock.now() + 100_000 })
  expect(restart().verify(token, address, caller).kind).toBe('valid')
})

test('an address that is listed and no pod has tokens of its own', () => {
  const { tokens, pod } = open()
  const token = tokens.issue(address, listed, 300)
  expect(tokens.verify(token, address, listed).kind).toBe('valid')
  expect(tokens.verify(tokens.issue(address, pod('a'), 300), address, listed).kind).toBe('invalid')
})

test('a forgotten key is told apart from a forgery', () => {
  const one = open()
  const other = open()
  const token = one.tokens.issue(address, one.pod('a'), 300)
  expect(other.tokens.verify(token, address, other.pod('a'))).toEqual({ kind: 'invalid', why: 'unknown-key' })
  expect(one.tokens.verify(token, address, one.pod('b'))).toEqual({ kind: 'invalid', why: 'not-yours' })
  expect(one.tokens.verify('INVALID', address, one.pod('a'))).toEqual({ kind: 'invalid', why: 'malformed' })
})

test('a token is good at its own address only, also of a pod that has two', () => {
  const { tokens, pod } = open()
  const token = tokens.issue(address, pod('a'), 300)
  expect(tokens.verify(token, parseIpAddress('fd00::1'), pod('a'))).toEqual({
    kind: 'invalid',
    why: 'not-yours',
  })
})
