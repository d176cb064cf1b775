import { type Grant, parseRoleArn } from '@kube2iam-ts/core'
import { aGrant, collectReports, createFakeClock } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { createFakeTokenService } from '../testing.ts'
import { type AdaptGrantsOptions, adaptGrants, fallbackRegionOf } from './adapt-grants.ts'
import type { StsReason } from './sts-errors.ts'
import type { TokenServiceEvent } from './token-service-events.ts'

const HOUR = 3_600

/** A service that refuses a grant with the reason that `judge` gives. */
function setUp(judge: (grant: Grant) => StsReason | undefined, options: Partial<AdaptGrantsOptions> = {}) {
  const clock = createFakeClock()
  const sts = createFakeTokenService({ clock })
  sts.behave = (grant) => {
    const reason = judge(grant)
    if (reason === undefined) return { kind: 'issue' }
    return { kind: 'fail', code: 'STS_DENIED', message: `refused for ${reason}`, detail: { reason } }
  }
  const { events, report } = collectReports<TokenServiceEvent>()
  const service = adaptGrants(sts, { clock, report, ...options })
  const assume = (grant: Grant) => service.assumeRole(grant, { signal: new AbortController().signal })
  const durations = () => sts.calls.map(({ grant }) => grant.durationSeconds)
  return { clock, sts, events, assume, durations }
}

const lasting = (hours: number) => aGrant({ durationSeconds: hours * HOUR })
const longest = (hours: number) => (grant: Grant) =>
  grant.durationSeconds > hours * HOUR ? ('duration-role' as const) : undefined

test('a known chain clamps to one hour before STS is asked, and says so once', async () => {
  const { assume, durations, events } = setUp(() => undefined, { chained: true })
  await assume(lasting(12))
  await assume(lasting(12))
  expect(durations()).toEqual([HOUR, HOUR])
  expect(events).toEqual([
    {
      kind: 'duration-clamped',
      role: aGrant().role.text,
      askedSeconds: 12 * HOUR,
      givenSeconds: HOUR,
      because: 'role-chaining',
    },
  ])
})

test('a chain that is not known is learnt from the first refusal, for every role', async () => {
  const { assume, durations } = setUp((grant) =>
    grant.durationSeconds > HOUR ? 'duration-chained' : undefined,
  )
  await assume(lasting(2))
  await assume({ ...lasting(3), role: parseRoleArn('arn:aws:iam::123456789012:role/other') })
  expect(durations()).toEqual([2 * HOUR, HOUR, HOUR])
})

test('the pod gets a session at once where the role allows less, and later calls find out how much', async () => {
  const { assume, durations, events } = setUp(longest(4))
  await assume(lasting(12))
  expect(durations()).toEqual([12 * HOUR, HOUR])
  for (let renewal = 0; renewal < 6; renewal += 1) await assume(lasting(12))
  // Each search step costs one refused call at most, and the last ones are right at once.
  expect(durations().slice(-2)).toEqual([4 * HOUR, 4 * HOUR])
  expect(durations().length).toBeLessThanOrEqual(2 + 6 + 3)
  expect(events.at(-1)).toMatchObject({ givenSeconds: 4 * HOUR, because: 'role-maximum' })
})

test('another role is not clamped by what was learnt of the first', async () => {
  const { assume, durations } = setUp((grant) => (grant.role.name === 'app' ? longest(1)(grant) : undefined))
  await assume(lasting(2))
  await assume({ ...lasting(2), role: parseRoleArn('arn:aws:iam::123456789012:role/other') })
  expect(durations()).toEqual([2 * HOUR, HOUR, 2 * HOUR])
})

test('what was learnt of a role is forgotten after a day', async () => {
  const { assume, durations, clock } = setUp(longest(1))
  await assume(lasting(2))
  await clock.advance(24 * 60 * 60_000 + 1)
  await assume(lasting(2))
  expect(durations()).toEqual([2 * HOUR, HOUR, 2 * HOUR, HOUR])
})

test('without sts:TagSession the session is had without tags, with a warning, and not asked twice at renewal', async () => {
  const tagged = aGrant({
    tags: { 'kubernetes-namespace': 'shop' },
    transitiveTagKeys: ['kubernetes-namespace'],
  })
  const { assume, sts, events, clock } = setUp((grant) =>
    Object.keys(grant.tags).length > 0 ? 'tag-session' : undefined,
  )
  await assume(tagged)
  await assume(tagged)
  expect(sts.calls.map(({ grant }) => Object.keys(grant.tags).length)).toEqual([1, 0, 0])
  expect(sts.calls.at(-1)?.grant.transitiveTagKeys).toEqual([])
  expect(events).toMatchObject([{ kind: 'tags-left-out', sessionName: tagged.sessionName }])
  await clock.advance(15 * 60_000 + 1)
  await assume(tagged)
  expect(sts.calls).toHaveLength(5)
})

test("one tenant's refused tags do not take another tenant's away", async () => {
  const of = (namespace: string) =>
    aGrant({ tags: { 'kubernetes-namespace': namespace }, sessionName: namespace })
  const { assume, sts } = setUp((grant) =>
    grant.tags['kubernetes-namespace'] === 'evil' ? 'tag-session' : undefined,
  )
  await assume(of('evil'))
  await assume(of('good'))
  expect(sts.calls.at(-1)?.grant.tags).toEqual({ 'kubernetes-namespace': 'good' })
})

test('a region that is switched off is replaced for an hour', async () => {
  const off = (grant: Grant) => (grant.region === 'us-east-1' ? undefined : ('region-disabled' as const))
  const { assume, sts, events, clock } = setUp(off, { region: 'ap-east-1' })
  await assume(aGrant())
  await assume(aGrant())
  expect(sts.calls.map(({ grant }) => grant.region)).toEqual([undefined, 'us-east-1', 'us-east-1'])
  expect(events).toMatchObject([{ kind: 'region-replaced', region: 'ap-east-1', by: 'us-east-1' }])
  await clock.advance(60 * 60_000 + 1)
  await assume(aGrant())
  expect(sts.calls).toHaveLength(5)
})

test('it gives up where nothing less can be asked for', async () => {
  const { assume, sts } = setUp(() => 'region-disabled', { region: 'cn-north-1' })
  await expect(assume(aGrant())).rejects.toMatchObject({ code: 'STS_DENIED' })
  expect(sts.calls).toHaveLength(1)
  const stubborn = setUp(() => 'tag-session')
  await expect(stubborn.assume(aGrant({ tags: { a: 'b' } }))).rejects.toMatchObject({ code: 'STS_DENIED' })
  expect(stubborn.sts.calls).toHaveLength(2)
  const short = setUp(() => 'duration-role')
  await expect(short.assume(lasting(12))).rejects.toMatchObject({ code: 'STS_DENIED' })
  expect(short.durations()).toEqual([12 * HOUR, HOUR])
})

test.each([
  ['eu-south-2', 'us-east-1'],
  ['us-west-2', 'us-east-1'],
  ['us-east-1', undefined],
  ['cn-north-1', undefined],
  ['us-gov-west-1', undefined],
  ['us-iso-east-1', undefined],
  ['us-isob-east-1', undefined],
])('%s falls back on %s', (region, by) => {
  expect(fallbackRegionOf(region)).toBe(by)
})
