import type { PodIdentity } from '@kube2iam-ts/core'
import { parseIpAddress } from '@kube2iam-ts/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Feed, FeedEvent } from '../src/index.ts'
import { createPodIndex } from '../src/lib/pod-index.ts'

/** A feed of pods with the hand that makes things happen behind it. */
export interface FeedUnderTest {
  readonly feed: Feed<PodIdentity>
  put(pod: PodIdentity): void
  remove(pod: PodIdentity): void
  /** Nothing changed, and the source says so. */
  bookmark(): void
  /** Breaks the connection and lets it come back. */
  loseTouch(): Promise<void>
  /** Forgets so much that only a new list can help; what `put` and `remove` do before it is in that list. */
  forget(): Promise<void>
  close(): Promise<void>
}

/** What every feed of pods has to do, whoever makes it. */
export function feedContract(
  name: string,
  make: (pods: readonly PodIdentity[]) => Promise<FeedUnderTest>,
): void {
  describe(`a feed of pods: ${name}`, () => {
    const one = pod('one', '10.0.0.1')
    const two = pod('two', '10.0.0.2')
    let made: FeedUnderTest
    let stop: AbortController
    let events: FeedEvent<PodIdentity>[]
    let ended: Promise<void>

    beforeEach(() => {
      stop = new AbortController()
      events = []
    })
    afterEach(async () => {
      stop.abort()
      await ended
      await made.close()
    })

    async function begin(...pods: PodIdentity[]): Promise<void> {
      made = await make(pods)
      ended = (async () => {
        for await (const event of made.feed.events(stop.signal)) events.push(event)
      })()
      await until(() => events.length > 0)
    }
    const until = (condition: () => boolean): Promise<void> =>
      expect.poll(condition, { interval: 2, timeout: 5000 }).toBe(true)
    const heard = (kind: FeedEvent<PodIdentity>['kind'], wanted?: PodIdentity): boolean =>
      events.some(
        (event) =>
          event.kind === kind &&
          (wanted === undefined || ('item' in event && event.item.name === wanted.name)),
      )
    const snapshots = (): number => events.filter(({ kind }) => kind === 'snapshot').length
    /** Who is known after everything that was heard. */
    const known = (): string[] => {
      const index = createPodIndex()
      const moment = { now: 0, mark: () => 0 }
      for (const event of events) {
        if (event.kind === 'snapshot') index.replace(event.items, moment)
        if (event.kind === 'upsert') index.upsert(event.item, moment)
        if (event.kind === 'delete') index.remove(event.item)
      }
      return [...index.pods()].map(({ name: of }) => of).toSorted()
    }

    test('the first thing it says is a snapshot of everything there is', async () => {
      await begin(one, two)
      expect(events[0]).toMatchObject({ kind: 'snapshot', items: [{ name: 'one' }, { name: 'two' }] })
      expect(events[0]).toMatchObject({
        items: [{ uid: one.uid, addresses: one.addresses, createdAt: one.createdAt }, {}],
      })
    })

    test('of nothing, too', async () => {
      await begin()
      expect(events[0]).toMatchObject({ kind: 'snapshot', items: [] })
    })

    test('what comes, changes and goes is told in order', async () => {
      await begin()
      made.put(one)
      made.put({ ...one, phase: 'Succeeded' })
      made.remove(one)
      await until(() => heard('delete', one))
      const told = events.filter(({ kind }) => kind === 'upsert' || kind === 'delete')
      expect(told.map((event) => `${event.kind} ${'item' in event ? event.item.phase : ''}`)).toEqual([
        'upsert Running',
        'upsert Succeeded',
        'delete Succeeded',
      ])
    })

    test('it says that it is up to date although nothing changed', async () => {
      await begin(one)
      made.bookmark()
      await until(() => heard('progress'))
    })

    test('after a loss it says so, and what was missed follows', async () => {
      await begin(one)
      await made.loseTouch()
      made.put(two)
      await until(() => heard('stale') && known().join() === 'one,two')
    })

    test('after a loss of history it begins with a snapshot again, without what vanished', async () => {
      await begin(one)
      made.remove(one)
      made.put(two)
      await made.forget()
      await until(() => snapshots() > 1 && known().join() === 'two')
    })

    test('it ends with its signal, quietly', async () => {
      await begin(one)
      stop.abort()
      await ended
      expect(heard('stale')).toBe(false)
    })
  })
}

function pod(name: string, address: string): PodIdentity {
  return {
    uid: `00000000-0000-0000-0000-${name.padStart(12, '0')}`,
    namespace: 'default',
    name,
    serviceAccount: 'default',
    node: 'node-1',
    addresses: [parseIpAddress(address)],
    hostNetwork: false,
    phase: 'Running',
    createdAt: new Date('2026-01-01T00:00:00Z'),
    deletedAt: undefined,
    annotations: {},
  }
}
