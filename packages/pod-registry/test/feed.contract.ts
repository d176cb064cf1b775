import type { NamespaceRecord, PodIdentity } from '@kube2iam-ts/core'
import { parseIpAddress } from '@kube2iam-ts/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Feed, FeedEvent } from '../src/index.ts'

/** A feed with the hand that makes things happen behind it. */
export interface FeedUnderTest<Item> {
  readonly feed: Feed<Item>
  put(item: Item): void
  remove(item: Item): void
  /** Nothing changed, and the source says so. */
  bookmark(): void
  /** Breaks the connection and lets it come back. */
  loseTouch(): Promise<void>
  /** Forgets so much that only a new list can help; what `put` and `remove` do before it is in that list. */
  forget(): Promise<void>
  close(): Promise<void>
}

/** What is put into a feed to see what it says of it. */
export interface FeedItems<Item> {
  readonly what: string
  readonly one: Item
  /** The same thing after a change. */
  readonly changed: Item
  readonly two: Item
}

/** What every feed has to do, whoever makes it and of whatever. */
export function feedContract<Item extends { readonly name: string }>(
  name: string,
  { what, one, changed, two }: FeedItems<Item>,
  make: (items: readonly Item[]) => Promise<FeedUnderTest<Item>>,
): void {
  describe(`a feed of ${what}: ${name}`, () => {
    let made: FeedUnderTest<Item>
    let stop: AbortController
    let events: FeedEvent<Item>[]
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

    async function begin(...items: Item[]): Promise<void> {
      made = await make(items)
      ended = (async () => {
        for await (const event of made.feed.events(stop.signal)) events.push(event)
      })()
      await until(() => events.length > 0)
    }
    const until = (condition: () => boolean): Promise<void> =>
      expect.poll(condition, { interval: 2, timeout: 5000 }).toBe(true)
    const heard = (kind: FeedEvent<Item>['kind'], wanted?: Item): boolean =>
      events.some(
        (event) =>
          event.kind === kind &&
          (wanted === undefined || ('item' in event && event.item.name === wanted.name)),
      )
    const snapshots = (): number => events.filter(({ kind }) => kind === 'snapshot').length
    /** Who is known after everything that was heard. */
    const known = (): string[] => {
      const names = new Set<string>()
      for (const event of events) {
        if (event.kind === 'snapshot') names.clear()
        if (event.kind === 'snapshot') for (const item of event.items) names.add(item.name)
        if (event.kind === 'upsert') names.add(event.item.name)
        if (event.kind === 'delete') names.delete(event.item.name)
      }
      return [...names].toSorted()
    }

    test('the first thing it says is a snapshot of everything there is', async () => {
      await begin(one, two)
      expect(events[0]).toMatchObject({ kind: 'snapshot', items: [one, two] })
    })

    test('of nothing, too', async () => {
      await begin()
      expect(events[0]).toMatchObject({ kind: 'snapshot', items: [] })
    })

    test('what comes, changes and goes is told in order', async () => {
      await begin()
      made.put(one)
      made.put(changed)
      made.remove(changed)
      await until(() => heard('delete', one))
      const told = events.flatMap((event) =>
        'item' in event ? [{ kind: event.kind, item: event.item }] : [],
      )
      expect(told).toMatchObject([
        { kind: 'upsert', item: one },
        { kind: 'upsert', item: changed },
        { kind: 'delete', item: changed },
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

export const PODS: FeedItems<PodIdentity> = {
  what: 'pods',
  one: pod('one', '10.0.0.1'),
  changed: { ...pod('one', '10.0.0.1'), phase: 'Succeeded' },
  two: pod('two', '10.0.0.2'),
}

const namespace = (name: string, roles: string): NamespaceRecord => ({ name, annotations: { roles } })

/** Namespaces stand for what is read as metadata only. */
export const NAMESPACES: FeedItems<NamespaceRecord> = {
  what: 'namespaces',
  one: namespace('one', '["a"]'),
  changed: namespace('one', '["b"]'),
  two: namespace('two', '["a"]'),
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
