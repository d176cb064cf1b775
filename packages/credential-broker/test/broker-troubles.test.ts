import { aGrant } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import type { FakeBehaviour } from '../src/testing.ts'
import { accessKeyOf, anOwner, setUp } from './set-up.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const fail = (code: 'STS_DENIED' | 'STS_UNAVAILABLE' | 'STS_THROTTLED', detail = {}): FakeBehaviour => ({
  kind: 'fail',
  code,
  detail,
})

describe('refusals', () => {
  test('are remembered under the whole key: the same grant is not asked again, others are', async () => {
    const { ask, sts } = setUp()
    sts.behave = (grant) => (grant.externalId === 'wrong' ? fail('STS_DENIED') : { kind: 'issue' })
    const wrong = aGrant({ externalId: 'wrong' })
    expect(await ask(wrong, { owner: anOwner('evil') })).toMatchObject({ kind: 'denied', code: 'STS_DENIED' })
    expect(await ask(wrong, { owner: anOwner('evil') })).toMatchObject({ kind: 'denied' })
    expect(await ask(aGrant({ externalId: 'right' }))).toMatchObject({ kind: 'credentials' })
    expect(sts.calls).toHaveLength(2)
  })

  test('are asked about again after 30 seconds, then after twice as long each time, up to five minutes', async () => {
    const { ask, sts, clock } = setUp()
    sts.behave = () => fail('STS_DENIED')
    const asked: number[] = []
    const began = clock.monotonic()
    for (let second = 0; second <= 900; second += 1) {
      const before = sts.calls.length
      await ask()
      if (sts.calls.length > before) asked.push((clock.monotonic() - began) / SECOND)
      await clock.advance(SECOND)
    }
    expect(asked).toEqual([0, 30, 90, 210, 450, 750])
  })

  test('of a renewal leave the session in use until it ends', async () => {
    const { ask, broker, sts, clock, events } = setUp()
    broker.want(anOwner(), aGrant())
    await clock.advance(SECOND)
    const first = accessKeyOf(await ask())
    sts.behave = () => fail('STS_DENIED')
    for (let minute = 1; minute < 59; minute += 1) {
      await clock.advance(MINUTE)
      expect(accessKeyOf(await ask())).toBe(first)
    }
    await clock.advance(2 * MINUTE)
    expect(await ask()).toMatchObject({ kind: 'denied' })
    expect(events.filter(({ kind }) => kind === 'session-denied').length).toBeLessThan(12)
    expect(events).toContainEqual(expect.objectContaining({ kind: 'session-dropped', reason: 'expired' }))
  })
})

describe('outages', () => {
  test('30 minutes without STS fail no request of a pod that has credentials', async () => {
    const { ask, broker, sts, clock } = setUp()
    const pods = Array.from({ length: 110 }, (_, index) => ({
      owner: anOwner(`pod-${index}`),
      grant: aGrant({ sessionName: `default.pod-${index}` }),
    }))
    for (const { owner, grant } of pods) broker.want(owner, grant)
    await clock.advance(MINUTE)
    // The worst moment: every session is as old as it may become.
    await clock.advance(23 * MINUTE)
    sts.behave = () => fail('STS_UNAVAILABLE')
    const outcomes = new Map<string, number>()
    const askAll = async () => {
      const asked = pods.map(({ owner, grant }) => ask(grant, { owner, forMs: 500 }))
      await clock.advance(SECOND)
      for (const answer of await Promise.all(asked)) {
        const alive =
          answer.kind === 'credentials' && answer.credentials.expiration.getTime() > clock.now() + 5 * SECOND
        const outcome = alive ? 'alive' : answer.kind
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    for (let tick = 0; tick < 60; tick += 1) {
      await clock.advance(29 * SECOND)
      await askAll()
    }
    const during = sts.calls.length
    sts.behave = () => ({ kind: 'issue' })
    for (let tick = 0; tick < 60; tick += 1) await askAll()
    expect(Object.fromEntries(outcomes)).toEqual({ alive: 110 * 120 })
    expect(during).toBeLessThan(110 + 400)
    const young = broker
      .sessions()
      .filter(({ expiration }) => expiration.getTime() > clock.now() + 50 * MINUTE)
    expect(young).toHaveLength(110)
  })

  test('that begin while a pod is using its session are outlived by the renewal, though the pod asks much later', async () => {
    const { ask, sts, clock } = setUp()
    await ask()
    await clock.advance(40 * MINUTE)
    sts.behave = () => fail('STS_UNAVAILABLE')
    // Until after the end of what the pod was given.
    await clock.advance(22 * MINUTE)
    sts.behave = () => ({ kind: 'issue' })
    await clock.advance(13 * MINUTE)
    const answer = await ask(aGrant(), { forMs: 0 })
    if (answer.kind !== 'credentials') throw new Error(answer.kind)
    expect(answer.credentials.expiration.getTime() - clock.now()).toBeGreaterThanOrEqual(30 * MINUTE)
  })

  test('STS that comes back half a minute before the end is asked in time', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { ask, broker, sts, clock } = setUp({}, seed)
      broker.want(anOwner(), aGrant())
      await clock.advance(20 * MINUTE)
      sts.behave = () => fail('STS_UNAVAILABLE')
      await clock.advance(39.5 * MINUTE)
      sts.behave = () => ({ kind: 'issue' })
      await clock.advance(24 * SECOND)
      const [session] = broker.sessions()
      expect(session?.expiration.getTime()).toBeGreaterThan(clock.now() + 50 * MINUTE)
      expect((await ask(aGrant(), { forMs: 0 })).kind).toBe('credentials')
    }
  })

  test('a request without credentials is answered at once while STS has failed already', async () => {
    const { ask, sts, clock } = setUp()
    sts.behave = () => fail('STS_UNAVAILABLE', { retryAfterMs: 5_000 })
    expect(await ask()).toMatchObject({ kind: 'unavailable', code: 'STS_UNAVAILABLE' })
    const before = clock.monotonic()
    expect(await ask()).toMatchObject({ kind: 'unavailable', code: 'STS_UNAVAILABLE' })
    expect(await ask(aGrant({ sessionName: 'another' }))).toMatchObject({ code: 'CIRCUIT_OPEN' })
    expect(clock.monotonic()).toBe(before)
    expect(sts.calls).toHaveLength(1)
  })

  test('Retry-After is honoured', async () => {
    const { ask, sts, clock, broker } = setUp()
    sts.behave = (_, call) =>
      call === 1 ? fail('STS_THROTTLED', { retryAfterMs: 20_000 }) : { kind: 'issue' }
    broker.want(anOwner(), aGrant())
    await clock.advance(19 * SECOND)
    expect(sts.calls).toHaveLength(1)
    await clock.advance(15 * SECOND)
    expect(sts.calls).toHaveLength(2)
    expect(await ask()).toMatchObject({ kind: 'credentials' })
  })

  test('five failures in a row open the circuit, one probe closes it', async () => {
    const { ask, sts, clock, events } = setUp()
    sts.behave = () => fail('STS_UNAVAILABLE')
    for (let pod = 0; pod < 50; pod += 1)
      await ask(aGrant({ sessionName: `pod-${pod}` }), { owner: anOwner(`${pod}`) })
    expect(sts.calls).toHaveLength(5)
    sts.behave = () => ({ kind: 'issue' })
    await clock.advance(20 * SECOND)
    await ask(aGrant({ sessionName: 'pod-1' }))
    expect(events.filter((event) => event.kind === 'circuit-changed').map(({ state }) => state)).toEqual([
      'open',
      'half-open',
      'closed',
    ])
  })

  test("one endpoint's open circuit leaves another region alone", async () => {
    const { ask, sts } = setUp()
    sts.behave = (grant) => (grant.region === 'eu-west-1' ? fail('STS_UNAVAILABLE') : { kind: 'issue' })
    for (let pod = 0; pod < 9; pod += 1) await ask(aGrant({ sessionName: `pod-${pod}`, region: 'eu-west-1' }))
    expect(await ask(aGrant({ region: 'us-east-1' }))).toMatchObject({ kind: 'credentials' })
  })

  test('a call that is never answered ends by its own time-out and not by that of its caller', async () => {
    const { ask, sts, clock } = setUp({ callTimeoutMs: 3_000 })
    sts.behave = () => ({ kind: 'hang' })
    const asked = ask()
    await clock.advance(900)
    expect(await asked).toMatchObject({ code: 'DEADLINE' })
    expect(sts.calls[0]?.outcome).toBe('pending')
    await clock.advance(2_100)
    expect(sts.calls[0]?.outcome).toBe('ABORTED')
    expect(await ask()).toMatchObject({ code: 'STS_UNAVAILABLE' })
  })

  test('nor does it last longer where the service does not heed its signal', async () => {
    const { ask, broker, sts, clock } = setUp({ callTimeoutMs: 3_000 })
    sts.assumeRole = () => new Promise(() => {})
    const asked = ask(aGrant(), { forMs: 60_000 })
    await clock.advance(3_000)
    expect(await asked).toMatchObject({ code: 'STS_UNAVAILABLE' })
    await clock.advance(MINUTE)
    void ask(aGrant(), { forMs: 60_000 })
    await clock.advance(0)
    await broker.close()
    expect(clock.pending).toBe(0)
  })

  test('an expired session is never served', async () => {
    const { ask, sts, clock } = setUp()
    await ask()
    sts.behave = () => fail('STS_UNAVAILABLE')
    await clock.advance(60 * MINUTE - 5 * SECOND)
    expect((await ask()).kind).toBe('unavailable')
  })

  test('an error that nobody expected is told with its cause and takes nothing down', async () => {
    const { ask, sts, events } = setUp()
    const bug = new TypeError('undefined is not a function')
    sts.behave = () => {
      throw bug
    }
    expect(await ask()).toMatchObject({ kind: 'unavailable', code: 'STS_BAD_ANSWER' })
    expect(events).toContainEqual(expect.objectContaining({ kind: 'session-failed', cause: bug }))
  })
})

describe('clocks', () => {
  test.each([-40, -6, 6, 40, 600])(
    'a node %i minutes off still renews and ends by real time',
    async (minutes) => {
      const { ask, broker, sts, clock, events } = setUp()
      sts.skewMs = minutes * MINUTE
      broker.want(anOwner(), aGrant())
      for (let passed = 0; passed < 180; passed += 1) {
        await clock.advance(MINUTE)
        const answer = await ask(aGrant(), { forMs: 0 })
        if (answer.kind !== 'credentials') throw new Error(answer.kind)
        const real = answer.credentials.expiration.getTime() - (clock.now() + sts.skewMs)
        expect(real).toBeGreaterThanOrEqual(30 * MINUTE)
        expect(real).toBeLessThanOrEqual(60 * MINUTE)
      }
      expect(events).toContainEqual({ kind: 'clock-skewed', skewMs: minutes * MINUTE })
    },
  )

  test('setting the clock back does not make a session live longer', async () => {
    const { ask, sts, clock } = setUp()
    await ask()
    sts.behave = () => fail('STS_UNAVAILABLE')
    clock.jump(-24 * 60 * MINUTE)
    await clock.advance(61 * MINUTE)
    expect((await ask()).kind).toBe('unavailable')
  })

  test('a machine that slept an hour does not serve what ended meanwhile', async () => {
    const { ask, clock } = setUp()
    const before = accessKeyOf(await ask())
    // The monotonic clock stands still in a suspended machine, the wall clock does not.
    clock.jump(61 * MINUTE)
    const after = await ask()
    expect(accessKeyOf(after)).toMatch(/^ASIA/)
    expect(accessKeyOf(after)).not.toBe(before)
  })

  test('a renewal that is late is waited for, so that no document is older than half its life', async () => {
    const { ask, sts, clock } = setUp()
    const before = accessKeyOf(await ask())
    clock.jump(35 * MINUTE)
    sts.latencyMs = 100
    const asked = ask()
    await clock.advance(100)
    expect(accessKeyOf(await asked)).not.toBe(before)
  })

  /** Asks where the session's time has come to `minutes` left and STS takes its time; what was answered, and when. */
  async function askLate({ minutes, latencyMs = 0, seconds = 3_600, forMs = 900 }: LateRequest) {
    const { ask, sts, clock } = setUp()
    const grant = aGrant({ durationSeconds: seconds })
    const before = accessKeyOf(await ask(grant))
    clock.jump(seconds * SECOND - minutes * MINUTE)
    sts.latencyMs = latencyMs
    const asked = clock.monotonic()
    let answer: [which: 'old' | 'new' | 'none', afterMs: number] | undefined
    void ask(grant, { forMs }).then((given) => {
      const which = given.kind === 'credentials' ? (accessKeyOf(given) === before ? 'old' : 'new') : 'none'
      answer = [which, clock.monotonic() - asked]
    })
    await clock.advance(20 * SECOND)
    return answer
  }
  interface LateRequest {
    minutes: number
    latencyMs?: number
    seconds?: number
    forMs?: number
  }

  test('but where every SDK is content with the old one, for a quarter of a second only', async () => {
    expect(await askLate({ minutes: 29, latencyMs: 2_000 })).toEqual(['old', 250])
    expect(await askLate({ minutes: 26, latencyMs: 800 })).toEqual(['old', 250])
    expect(await askLate({ minutes: 26, latencyMs: 200 })).toEqual(['new', 200])
  })

  test('with less than 25 minutes left for as long as the pod can wait, and then the old one serves', async () => {
    expect(await askLate({ minutes: 24, latencyMs: 800 })).toEqual(['new', 800])
    expect(await askLate({ minutes: 5, latencyMs: 800 })).toEqual(['new', 800])
    expect(await askLate({ minutes: 5, latencyMs: 2_000 })).toEqual(['old', 900])
    expect(await askLate({ minutes: 0.1, latencyMs: 9_000, forMs: 9_500 })).toEqual(['old', 1_000])
  })

  test('of a shorter session the same parts', async () => {
    expect(await askLate({ seconds: 900, minutes: 7, latencyMs: 800 })).toEqual(['old', 250])
    expect(await askLate({ seconds: 900, minutes: 6, latencyMs: 800 })).toEqual(['new', 800])
  })

  test('a renewal that fails is waited for no longer than it takes to fail, and then not any more', async () => {
    const { ask, sts, clock } = setUp()
    const before = accessKeyOf(await ask())
    clock.jump(50 * MINUTE)
    sts.latencyMs = 100
    sts.behave = () => fail('STS_UNAVAILABLE')
    const asked = ask()
    await clock.advance(100)
    expect(accessKeyOf(await asked)).toBe(before)
    for (let second = 0; second < 60; second += 1) {
      const from = clock.monotonic()
      expect(accessKeyOf(await ask())).toBe(before)
      expect(clock.monotonic()).toBe(from)
      await clock.advance(SECOND)
    }
    expect(sts.calls.length).toBeGreaterThan(5)
  })
})

describe('the budget', () => {
  test('many prefetches are spread and never more at once than allowed; a pod that asks goes first', async () => {
    const { ask, broker, sts, clock } = setUp({ concurrency: 4 })
    sts.latencyMs = 400
    const grants = Array.from({ length: 110 }, (_, index) => aGrant({ sessionName: `pod-${index}` }))
    for (const [index, grant] of grants.entries()) broker.want(anOwner(`pod-${index}`), grant)
    let most = 0
    let answered: number | undefined
    const began = clock.monotonic()
    for (let tick = 0; tick < 400; tick += 1) {
      if (tick === 20) {
        void ask(grants[109], { owner: anOwner('pod-109') }).then(() => {
          answered = clock.monotonic() - began
        })
      }
      await clock.advance(50)
      most = Math.max(most, sts.calls.filter(({ outcome }) => outcome === 'pending').length)
    }
    expect(most).toBe(4)
    expect(sts.calls).toHaveLength(110)
    expect(answered).toBeLessThanOrEqual(1_000 + 900)
  })

  test('a prefetch that is waiting for its turn moves up when its pod begins to ask', async () => {
    const { ask, broker, sts, clock } = setUp({ concurrency: 1, prefetchSpreadMs: 0 })
    sts.latencyMs = 100
    const grants = Array.from({ length: 20 }, (_, index) => aGrant({ sessionName: `pod-${index}` }))
    for (const [index, grant] of grants.entries()) broker.want(anOwner(`pod-${index}`), grant)
    await clock.advance(50)
    const asked = ask(grants[19], { owner: anOwner('pod-19'), forMs: 900 })
    await clock.advance(150)
    expect(await asked).toMatchObject({ kind: 'credentials' })
    expect(sts.calls.map(({ grant }) => grant.sessionName)).toEqual(['pod-0', 'pod-19', 'pod-1'])
  })

  test('namespaces take turns: a crash loop in one does not stand in front of the others', async () => {
    const { ask, sts, clock } = setUp({ concurrency: 1, callBurst: 1_000, callsPerSecond: 1_000 })
    sts.latencyMs = 100
    const evil = Array.from({ length: 50 }, (_, index) =>
      ask(aGrant({ sessionName: `evil-${index}` }), {
        owner: { ...anOwner(`evil-${index}`), namespace: 'evil' },
      }),
    )
    const good = ask(aGrant({ sessionName: 'good' }), { owner: { ...anOwner('good'), namespace: 'good' } })
    await clock.advance(250)
    expect(await good).toMatchObject({ kind: 'credentials' })
    await clock.advance(10_000)
    await Promise.all(evil)
  })

  test('more waiting calls than the queue holds are turned away at once', async () => {
    const { ask, sts, clock } = setUp({ concurrency: 1, queueCapacity: 2 })
    sts.latencyMs = 100
    const asked = [0, 1, 2, 3].map((pod) =>
      ask(aGrant({ sessionName: `pod-${pod}` }), { owner: anOwner(`${pod}`) }),
    )
    await clock.advance(1_000)
    const codes = (await Promise.all(asked)).map((answer) => ('code' in answer ? answer.code : answer.kind))
    expect(codes).toEqual(['credentials', 'credentials', 'credentials', 'BUDGET_EXHAUSTED'])
  })
})

describe('the end', () => {
  test('closing aborts what is under way and leaves no timer', async () => {
    const { ask, broker, sts, clock } = setUp()
    await ask()
    broker.want(anOwner('next'), aGrant({ sessionName: 'next' }))
    sts.behave = () => ({ kind: 'hang' })
    const asked = ask(aGrant({ sessionName: 'third' }))
    await clock.advance(10)
    const closing = broker.close()
    await clock.advance(0)
    await closing
    expect(await asked).toMatchObject({ kind: 'unavailable' })
    expect(clock.pending).toBe(0)
    expect(broker.sessions()).toEqual([])
    expect(await ask()).toMatchObject({ kind: 'unavailable', code: 'ABORTED' })
  })

  test('what is asked for and wanted by no pod is let go after its time', async () => {
    const { ask, broker, sts, clock } = setUp()
    await ask()
    // Asked for once: renewed while the pod may be using what it was given, which is two times, and then no more.
    await clock.advance(122 * MINUTE)
    expect(sts.calls).toHaveLength(3)
    expect(broker.sessions()).toEqual([])
    expect(clock.pending).toBe(0)
  })

  test('no more sessions are held than allowed, and what pods want stays', async () => {
    const { ask, broker, clock } = setUp({ maxSessions: 10, callBurst: 100 })
    broker.want(anOwner('wanted'), aGrant({ sessionName: 'wanted' }))
    await clock.advance(10)
    for (let index = 0; index < 50; index += 1) await ask(aGrant({ sessionName: `passing-${index}` }))
    expect(broker.sessions().length).toBeLessThanOrEqual(11)
    expect(broker.sessions().map(({ sessionName }) => sessionName)).toContain('wanted')
  })
})
