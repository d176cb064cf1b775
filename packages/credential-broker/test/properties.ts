import { type Grant, grantKey, parseRoleArn } from '@kube2iam-ts/core'
import { aGrant } from '@kube2iam-ts/core/testing'
import fc from 'fast-check'
import { expect } from 'vitest'
import { isSameGrant } from '../src/lib/same-grant.ts'
import { accessKeyOf, anOwner, setUp } from './set-up.ts'

export interface RunOptions {
  numRuns: number
  seed?: number
}

const word = fc.string({ minLength: 1, maxLength: 12 })
const maybe = (text: fc.Arbitrary<string>) => fc.option(text, { nil: undefined })
const role = fc
  .record({
    account: fc.constantFrom('123456789012', '999999999999'),
    path: fc.constantFrom('/', '/team/', '/team/a/'),
    name: fc.constantFrom('app', 'app-admin', 'admin'),
    partition: fc.constantFrom('aws', 'aws-cn'),
  })
  .map(({ partition, account, path, name }) =>
    parseRoleArn(`arn:${partition}:iam::${account}:role${path}${name}`),
  )

/** How each field is drawn: the compiler asks for every field that a grant has. */
const fields: { [Field in keyof Grant]: fc.Arbitrary<Grant[Field]> } = {
  role,
  sessionName: fc.constantFrom('shop.cart-0', 'shop.cart-1', 'shop.cart'),
  durationSeconds: fc.constantFrom(900, 3_600, 43_200),
  externalId: maybe(word),
  sourceIdentity: maybe(word),
  tags: fc.dictionary(word, word, { maxKeys: 3 }),
  transitiveTagKeys: fc.uniqueArray(word, { maxLength: 3 }),
  policyArns: fc.uniqueArray(word, { maxLength: 3 }),
  policy: maybe(word),
  region: fc.constantFrom(undefined, 'eu-west-1', 'us-east-1'),
}

const grant = fc.record(fields) as fc.Arbitrary<Grant>

/** A grant, and another that differs from it in exactly one field. */
const neighbours = fc
  .constantFrom(...(Object.keys(fields) as (keyof Grant)[]))
  .chain((field) => fc.tuple(grant, fields[field], fc.constant(field)))
  .map(([one, value, field]) => ({ one, other: { ...one, [field]: value } as Grant, field }))
  .filter(({ one, other, field }) => canonical(one[field]) !== canonical(other[field]))

/** Text that is equal for what is the same to STS: lists and tags have no order. */
const canonical = (value: Grant[keyof Grant]): string => {
  if (typeof value !== 'object') return JSON.stringify(value ?? null)
  const items = Array.isArray(value) ? value : Object.entries(value)
  return JSON.stringify(items.map((item) => JSON.stringify(item)).sort())
}

/** Two grants that differ in any one field never share a credential, whoever asks for them and in whatever order. */
export const provesKeys = (options: RunOptions) =>
  fc.assert(
    fc.asyncProperty(neighbours, fc.boolean(), async ({ one, other }, samePod) => {
      const { ask, broker } = setUp()
      const owners = samePod ? [anOwner(), anOwner()] : [anOwner('a'), anOwner('b')]
      const first = accessKeyOf(await ask(one, { owner: owners[0]! }))
      const second = accessKeyOf(await ask(other, { owner: owners[1]! }))
      expect(second).not.toBe(first)
      expect(accessKeyOf(await ask(one, { owner: owners[0]! }))).toBe(first)
      expect(accessKeyOf(await ask(other, { owner: owners[1]! }))).toBe(second)
      expect(isSameGrant(one, other)).toBe(false)
      await broker.close()
    }),
    options,
  )

/** The quick comparison never says more than the key does, and grants that are the same to STS share one session. */
export const provesSameness = (options: RunOptions) =>
  fc.assert(
    fc.asyncProperty(grant, async (one) => {
      const copy: Grant = {
        ...one,
        tags: Object.fromEntries(Object.entries(one.tags).toReversed()),
        transitiveTagKeys: one.transitiveTagKeys.toReversed(),
        policyArns: one.policyArns.toReversed(),
      }
      if (isSameGrant(one, copy)) expect(grantKey(one)).toBe(grantKey(copy))
      expect(isSameGrant(one, structuredClone(one))).toBe(true)
      const { ask, sts, broker } = setUp()
      expect(accessKeyOf(await ask(copy))).toBe(accessKeyOf(await ask(one)))
      expect(sts.calls).toHaveLength(1)
      await broker.close()
    }),
    options,
  )

type Step =
  | { readonly do: 'want' | 'ask'; readonly pod: number; readonly grant: number }
  | { readonly do: 'release'; readonly pod: number }
  | { readonly do: 'advance'; readonly minutes: number }
  | { readonly do: 'jump'; readonly minutes: number }
  | {
      readonly do: 'sts'
      readonly mood: 'issue' | 'STS_UNAVAILABLE' | 'STS_THROTTLED' | 'STS_DENIED' | 'hang'
    }

const pod = fc.nat(3)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('want' as const), pod, grant: fc.nat(4) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ask' as const), pod, grant: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), pod }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), minutes: fc.nat(40) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('jump' as const), minutes: fc.integer({ min: -90, max: 90 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('sts' as const),
      mood: fc.constantFrom('issue', 'issue', 'STS_UNAVAILABLE', 'STS_THROTTLED', 'STS_DENIED', 'hang'),
    }),
  },
)

/**
 * Whatever happens in whatever order: nobody is served a session of another grant or one that has ended, no grant
 * has two calls under way, and when all pods are gone nothing is left.
 */
export const provesHistories = (options: RunOptions) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer(), async (steps, seed) => {
      const { ask, broker, sts, clock } = setUp({}, seed)
      sts.latencyMs = 40
      /** When each call began, by the clock that no jump moves. */
      const begun: number[] = []
      const assumeRole = sts.assumeRole
      sts.assumeRole = (...args) => {
        begun.push(clock.monotonic())
        return assumeRole(...args)
      }
      const grants = Array.from({ length: 5 }, (_, index) => aGrant({ sessionName: `grant-${index}` }))
      for (const now of steps) {
        switch (now.do) {
          case 'want':
            broker.want(anOwner(`pod-${now.pod}`), grants[now.grant]!)
            break
          case 'ask': {
            const wanted = grants[now.grant]!
            const asked = ask(wanted, { owner: anOwner(`pod-${now.pod}`), forMs: 500 })
            await clock.advance(500)
            const answer = await asked
            if (answer.kind !== 'credentials') break
            const serial = Number(/^ASIAFAKE(\d{6})/.exec(answer.credentials.accessKeyId)?.[1])
            const issuedBy = sts.calls[serial - 1]!
            expect(grantKey(issuedBy.grant)).toBe(grantKey(wanted))
            expect(clock.monotonic() - begun[serial - 1]!).toBeLessThan(3_600_000)
            break
          }
          case 'release':
            broker.release(`uid-of-pod-${now.pod}`)
            break
          case 'advance':
            await clock.advance(now.minutes * 60_000)
            break
          case 'jump':
            clock.jump(now.minutes * 60_000)
            break
          case 'sts': {
            const { mood } = now
            sts.behave = () =>
              mood === 'issue' || mood === 'hang' ? { kind: mood } : { kind: 'fail', code: mood }
            break
          }
          default:
            now satisfies never
        }
        const flying = sts.calls
          .filter(({ outcome }) => outcome === 'pending')
          .map((call) => grantKey(call.grant))
        expect(new Set(flying).size).toBe(flying.length)
      }
      for (let index = 0; index < 4; index += 1) broker.release(`uid-of-pod-${index}`)
      await clock.advance(0)
      expect(broker.sessions()).toEqual([])
      await broker.close()
      expect(clock.pending).toBe(0)
    }),
    options,
  )
