import { getEventListeners } from 'node:events'
import { aGrant } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import { accessKeyOf, anOwner, setUp } from './set-up.ts'

const MINUTE = 60_000

describe('one call for all who wait', () => {
  test('1,000 concurrent first requests for one session make one STS call', async () => {
    const { ask, sts, clock } = setUp()
    sts.latencyMs = 100
    const asked = Array.from({ length: 1_000 }, (_, index) =>
      ask(aGrant(), { owner: anOwner(`pod-${index % 7}`) }),
    )
    await clock.advance(100)
    const keys = new Set((await Promise.all(asked)).map(accessKeyOf))
    expect(sts.calls).toHaveLength(1)
    expect([...keys]).toEqual([expect.stringMatching(/^ASIA/)])
  })

  test('the call outlives callers that give up, and the next one finds its answer', async () => {
    const { ask, sts, clock } = setUp()
    sts.latencyMs = 700
    const hangUp = new AbortController()
    const first = ask(aGrant(), { signal: hangUp.signal })
    const second = ask(aGrant(), { forMs: 500 })
    await clock.advance(300)
    hangUp.abort()
    await clock.advance(200)
    expect(await first).toMatchObject({ kind: 'unavailable', code: 'ABORTED' })
    expect(await second).toMatchObject({ kind: 'unavailable', code: 'DEADLINE' })
    await clock.advance(200)
    expect(await ask()).toMatchObject({ kind: 'credentials' })
    expect(sts.calls).toHaveLength(1)
  })

  test('the call is aborted when its pod is released', async () => {
    const { ask, sts, clock, broker } = setUp()
    sts.behave = () => ({ kind: 'hang' })
    const asked = ask()
    await clock.advance(10)
    broker.release(anOwner().uid)
    expect(await asked).toMatchObject({ kind: 'unavailable', code: 'ABORTED' })
    expect(sts.calls[0]?.outcome).toBe('ABORTED')
    expect(clock.pending).toBe(0)
  })

  test('the call goes on when one of two pods that share the session is released', async () => {
    const { ask, sts, clock, broker } = setUp()
    sts.latencyMs = 100
    const [first, second] = [anOwner('a'), anOwner('b')].map((owner) => ask(aGrant(), { owner }))
    broker.release('uid-of-a')
    await clock.advance(100)
    expect(await second).toMatchObject({ kind: 'credentials' })
    expect(await first).toMatchObject({ kind: 'credentials' })
  })
})

test.each(['issue', 'fail'] as const)(
  'a call that ended (%s) leaves nothing that keeps its signal in memory',
  async (kind) => {
    const { ask, sts, clock } = setUp()
    sts.behave = () => (kind === 'issue' ? { kind } : { kind, code: 'STS_UNAVAILABLE' })
    const assumeRole = sts.assumeRole.bind(sts)
    const signals: AbortSignal[] = []
    sts.assumeRole = (grant, options) => {
      signals.push(options.signal)
      return assumeRole(grant, options)
    }
    const asked = ask()
    await clock.advance(100)
    await asked
    // Node keeps a signal that was made of others for as long as somebody listens to it: for ever, if it never comes.
    expect(signals.map((signal) => getEventListeners(signal, 'abort'))).toEqual([[]])
  },
)

describe('prefetch and renewal', () => {
  test('a wanted session is there before its pod asks', async () => {
    const { broker, ask, sts, clock } = setUp()
    broker.want(anOwner(), aGrant())
    await clock.advance(10)
    expect(sts.calls).toHaveLength(1)
    expect(await ask(aGrant(), { forMs: 0 })).toMatchObject({ kind: 'credentials' })
  })

  test('it is renewed before half life and never older, hour after hour', async () => {
    const { broker, ask, sts, clock } = setUp()
    broker.want(anOwner(), aGrant())
    for (let minute = 0; minute < 24 * 60; minute += 1) {
      await clock.advance(MINUTE)
      const answer = await ask(aGrant(), { forMs: 0 })
      if (answer.kind !== 'credentials') throw new Error(answer.kind)
      expect(answer.credentials.expiration.getTime() - clock.now()).toBeGreaterThanOrEqual(30 * MINUTE)
    }
    expect(sts.calls.length).toBeGreaterThanOrEqual((24 * 60) / 28)
    expect(sts.calls.length).toBeLessThanOrEqual(1 + (24 * 60) / 24)
  })

  test.each([20, 45, 55, 59])(
    'what a pod has asked for is renewed as what is wanted: asked again every %i minutes it is never old',
    async (minutes) => {
      const { ask, sts, clock } = setUp()
      await ask()
      for (let passed = 0; passed < 24 * 60; passed += minutes) {
        await clock.advance(minutes * MINUTE)
        const answer = await ask(aGrant(), { forMs: 0 })
        if (answer.kind !== 'credentials') throw new Error(answer.kind)
        expect(answer.credentials.expiration.getTime() - clock.now()).toBeGreaterThanOrEqual(30 * MINUTE)
      }
      expect(sts.calls.length).toBeLessThanOrEqual(2 + (25 * 60) / 24)
    },
  )

  test('a pod that comes back after its document has ended makes its session be renewed again', async () => {
    const { ask, sts, clock } = setUp()
    await ask()
    // Renewed twice by now, and good for half an hour still.
    await clock.advance(79 * MINUTE)
    expect(sts.calls).toHaveLength(3)
    expect(await ask(aGrant(), { forMs: 0 })).toMatchObject({ kind: 'credentials' })
    await clock.advance(10)
    expect(sts.calls).toHaveLength(4)
  })

  test('what was asked for is dropped at once when its pod goes', async () => {
    const { ask, broker, clock } = setUp()
    await ask()
    broker.release(anOwner().uid)
    expect(broker.sessions()).toEqual([])
    expect(clock.pending).toBe(0)
  })

  test('what nobody wants is dropped at once when its pod goes', async () => {
    const { broker, clock, events } = setUp()
    broker.want(anOwner(), aGrant())
    await clock.advance(10)
    broker.release(anOwner().uid)
    expect(broker.sessions()).toEqual([])
    expect(clock.pending).toBe(0)
    expect(events.at(-1)).toMatchObject({ kind: 'session-dropped', reason: 'released' })
  })

  test('a changed grant takes the place of the old one', async () => {
    const { broker, clock } = setUp()
    broker.want(anOwner(), aGrant())
    await clock.advance(10)
    broker.want(anOwner(), aGrant({ externalId: 'changed' }))
    await clock.advance(10)
    expect(broker.sessions()).toHaveLength(1)
  })
})

describe('who was given what', () => {
  const told = ({ events }: ReturnType<typeof setUp>) =>
    events.flatMap((event) =>
      event.kind === 'session-issued' || event.kind === 'session-shared'
        ? [`${event.kind} ${event.accessKeyId} ${event.owners.map(({ name }) => name).join()}`]
        : [],
    )

  test('is told of a pod that is given a session which was there before it, once', async () => {
    const world = setUp()
    const { ask, broker, clock } = world
    broker.want(anOwner('a'), aGrant())
    await clock.advance(10)
    const key = accessKeyOf(await ask(aGrant(), { owner: anOwner('a') }))
    broker.want(anOwner('b'), aGrant())
    await clock.advance(MINUTE)
    expect(told(world)).toEqual([`session-issued ${key} a`])
    for (let time = 0; time < 3; time += 1) {
      expect(accessKeyOf(await ask(aGrant(), { owner: anOwner('b') }))).toBe(key)
    }
    expect(told(world)).toEqual([`session-issued ${key} a`, `session-shared ${key} b`])
    expect(world.events.at(-1)).toMatchObject({
      role: aGrant().role.text,
      sessionName: aGrant().sessionName,
      expiration: expect.any(Date),
      assumedRoleArn: expect.stringContaining('assumed-role/app'),
    })
  })

  test('is told once where the renewal names the pod before it asks', async () => {
    const world = setUp()
    const { ask, broker, clock } = world
    broker.want(anOwner('a'), aGrant())
    await clock.advance(10)
    broker.want(anOwner('b'), aGrant())
    await clock.advance(30 * MINUTE)
    await ask(aGrant(), { owner: anOwner('b') })
    expect(told(world)).toEqual([
      expect.stringMatching(/^session-issued \w+ a$/),
      expect.stringMatching(/^session-issued \w+ a,b$/),
    ])
  })

  test('is told of a pod that was released while STS was asked and is answered all the same', async () => {
    const world = setUp()
    const { ask, sts, broker, clock } = world
    sts.latencyMs = 100
    const [first] = ['a', 'b'].map((name) => ask(aGrant(), { owner: anOwner(name) }))
    broker.release('uid-of-a')
    await clock.advance(100)
    const key = accessKeyOf(await first!)
    expect(told(world)).toEqual([`session-issued ${key} b`, `session-shared ${key} a`])
  })
})
