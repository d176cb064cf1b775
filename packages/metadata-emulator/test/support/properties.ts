import { createSecretKey } from 'node:crypto'
import { type IpAddress, parseIpAddress } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import fc from 'fast-check'
import { type CallerAnswer, classify, type TokenKeys } from '../../src/index.ts'
import { createTokens, parseToken, parseTtlSeconds } from '../../src/lib/tokens.ts'

/** A property that a short run checks in the quick tests and a long one in `test/long`. */
export interface Property {
  readonly name: string
  run(parameters: { seed: number; numRuns: number }): void
}

const property = <Values extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [Index in keyof Values]: fc.Arbitrary<Values[Index]> },
  holds: (...values: Values) => boolean,
): Property => ({
  name,
  run: (parameters) => fc.assert(fc.property(...arbitraries, holds), parameters),
})

// Words that mean something to some metadata service, glue that means something to some parser, and noise.
const word = fc.constantFrom(
  'latest',
  '1.0',
  '2021-03-23',
  'LATEST',
  'meta-data',
  'Meta-Data',
  'iam',
  'IAM',
  'info',
  'security-credentials',
  'security-credentials-extended',
  'identity-credentials',
  'ec2',
  'ec2-instance',
  'user-data',
  'dynamic',
  'api',
  'token',
  'app',
  'placement',
  'region',
  '.',
  '..',
  '%2e%2e',
  '%2f',
  '%252f',
  ';a=b',
  '',
  'arn:aws:iam::123456789012:role',
  '%E0%A4%A',
)
const glue = fc.constantFrom(
  '/',
  '/',
  '/',
  '/',
  '//',
  '\\',
  '%2F',
  '?',
  '#',
  ';',
  '\t',
  '\u0000',
  '\u2215',
  '',
)
const built = fc
  .array(fc.tuple(glue, word), { maxLength: 9 })
  .map((parts) => parts.map(([before, text]) => before + text).join(''))
const target = fc.oneof(
  { weight: 6, arbitrary: built },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('http://a', 'HTTP://[::1]:80', 'https://a', '//a', 'a:80'), built)
      .map((two) => two.join('')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
  { weight: 1, arbitrary: fc.webPath() },
)

/** The classifier: whatever is asked, and what it may never say. */
export const classifierProperties: readonly Property[] = [
  property('every text has a route, the same each time', [target], (text) => {
    const [first, second] = [classify(text), classify(text)]
    return typeof first.name === 'string' && JSON.stringify(first) === JSON.stringify(second)
  }),
  property(
    'what may be forwarded is a canonical path under a version, taken from the target as it stands',
    [target],
    (text) => {
      const route = classify(text)
      if (route.name !== 'metadata') return true
      const canonical = /^\/(?:latest|1\.0|\d{4}-\d\d-\d\d)(?:\/[A-Za-z0-9_.:@+=,-]+)+$/.test(route.path)
      const dots = route.path.split('/').some((segment) => segment === '.' || segment === '..')
      return canonical && !dots && text.includes(route.path) && route.path.endsWith(`/${route.below}`)
    },
  ),
  property('a canonical path is its own class', [target], (text) => {
    const route = classify(text)
    return route.name !== 'metadata' || JSON.stringify(classify(route.path)) === JSON.stringify(route)
  }),
  property('nothing that names credentials, in any case, may be forwarded', [target], (text) => {
    const route = classify(text)
    return route.name !== 'metadata' || !/credential|\/iam(?:\/|$)|\/api(?:\/|$)/i.test(route.path)
  }),
  property(
    'a role is asked for by printable text without a percent sign, a query or a dot segment',
    [target],
    (text) => {
      const route = classify(text)
      if (route.name !== 'role-document') return true
      return (
        /^[\x21-\x7e]+$/.test(route.requested) &&
        !/[%?#\\]|(?:^|\/)\.{1,2}(?:\/|$)|\/\//.test(route.requested)
      )
    },
  ),
  property(
    'an encoded role is the role itself',
    [fc.stringMatching(/^[\w+=,.@-]{1,64}$/).filter((name) => !/^\.{1,2}$/.test(name))],
    (name) => {
      const route = classify(`/latest/meta-data/iam/security-credentials/${encodeURIComponent(name)}`)
      return route.name === 'role-document' && route.requested === name
    },
  ),
]

const ADDRESSES = ['10.0.0.1', '10.0.0.2', 'fd00::1', '::ffff:10.0.0.1'].map(parseIpAddress)
const address = fc.constantFrom(...ADDRESSES)
const uid = fc.oneof(fc.uuid(), fc.string({ maxLength: 40 }))
const ttl = fc.integer({ min: 1, max: 21_600 })
const random = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }))
const keyBytes = fc.uint8Array({ minLength: 32, maxLength: 32 })

const keysOf = (id: number, bytes: Uint8Array): TokenKeys => {
  const only = { id, key: createSecretKey(bytes) }
  return {
    current: () => only,
    find: (wanted) => (wanted === id ? only : undefined),
    status: () => ({ kind: 'memory' }),
  }
}
const podOf = (uidText: string): CallerAnswer => ({
  kind: 'pod',
  caller: { uid: uidText, namespace: 'default', name: 'app', createdAt: 0, boundAt: 0 },
})
const tokensOf = (keys: TokenKeys, draws: IterableIterator<number>) =>
  createTokens({ keys, clock: createFakeClock(), random: () => draws.next().value ?? 0 })

/** The tokens: what is issued is accepted, and nothing else is. */
export const tokenProperties: readonly Property[] = [
  property(
    'a token is accepted from the pod that it was issued to',
    [keyBytes, random, address, uid, ttl],
    (bytes, draws, at, who, seconds) => {
      const tokens = tokensOf(keysOf(7, bytes), draws)
      const text = tokens.issue(at, podOf(who), seconds)
      const verified = tokens.verify(text, at, podOf(who))
      return (
        /^[A-Za-z0-9_-]{56}$/.test(text) && verified.kind === 'valid' && verified.remainingSeconds === seconds
      )
    },
  ),
  property(
    'from no other address, no other pod, and not while nobody is known there',
    [keyBytes, random, address, address, uid, uid],
    (bytes, draws, at, elsewhere, who, other) => {
      const tokens = tokensOf(keysOf(7, bytes), draws)
      const text = tokens.issue(at, podOf(who), 60)
      const moved = tokens.verify(text, elsewhere, podOf(who)).kind
      const stolen = tokens.verify(text, at, podOf(other)).kind
      return (
        moved === (at === elsewhere ? 'valid' : 'invalid') &&
        stolen === (who === other ? 'valid' : 'invalid') &&
        tokens.verify(text, at, { kind: 'unknown' }).kind === 'undecided'
      )
    },
  ),
  property(
    'not with another key, and not with one bit changed',
    [keyBytes, random, fc.nat({ max: 42 * 8 - 1 })],
    (bytes, draws, bit) => {
      const at: IpAddress = parseIpAddress('10.0.0.1')
      const text = tokensOf(keysOf(7, bytes), draws).issue(at, podOf('a'), 60)
      const changed = Buffer.from(text, 'base64url')
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const other = Uint8Array.from(bytes, (byte) => byte ^ 1)
      const verify = (keys: TokenKeys, token: string) =>
        tokensOf(keys, draws).verify(token, at, podOf('a')).kind
      return (
        verify(keysOf(7, other), text) === 'invalid' &&
        verify(keysOf(7, bytes), changed.toString('base64url')) === 'invalid'
      )
    },
  ),
  property(
    'what is no token is not read as one, whatever it is',
    [fc.oneof(fc.string({ unit: 'binary' }), fc.base64String(), fc.stringMatching(/^[\w-]{56}$/))],
    (text) => {
      const fields = parseToken(text)
      return (
        fields === undefined || (text.length === 56 && fields.ttlSeconds >= 1 && fields.ttlSeconds <= 21_600)
      )
    },
  ),
  property(
    'nothing that was not issued is accepted',
    [keyBytes, random, fc.stringMatching(/^E[RS][\w-]{54}$/)],
    (bytes, draws, text) => {
      const fields = parseToken(text)
      const tokens = tokensOf(keysOf(fields?.keyId ?? 7, bytes), draws)
      return tokens.verify(text, parseIpAddress('10.0.0.1'), podOf('a')).kind !== 'valid'
    },
  ),
  property(
    'a TTL is one to five decimal digits between 1 and 21600',
    [
      fc.oneof(
        fc.integer().map(String),
        fc.string(),
        fc.double().map(String),
        fc.stringMatching(/^0*\d{1,6}$/),
      ),
    ],
    (text) => {
      const seconds = parseTtlSeconds(text)
      const right = /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 21_600
      return right ? seconds === Number(text) : seconds === undefined
    },
  ),
]
