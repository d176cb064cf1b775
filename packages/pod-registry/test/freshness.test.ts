import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { nameOf, startFollowing, startSynced } from './following.ts'

const [BOUND, NEW] = ['10.0.0.7', '10.0.0.8']
const web = aPod({ name: 'web', addresses: [BOUND] })

test('a silent watch makes nothing stale before the limit', async () => {
  const { clock, registry, who, close } = await startSynced([web])
  await clock.advance(300_000)
  expect(registry.freshness()).toMatchObject({ synced: true, stale: false, ageMs: 300_000 })
  expect([who(BOUND), who(NEW)]).toEqual(['web', 'unknown'])
  await close()
})

test('beyond the limit bound pods are served on, and what is not bound is refused as stale (jtblin/kube2iam#198)', async () => {
  const { clock, registry, who, waitFor, pods, settle, close } = await startSynced([web])
  await clock.advance(300_001)
  expect(registry.freshness()).toMatchObject({ stale: true, feeds: { pods: { stale: true, lost: false } } })
  expect([who(BOUND), who(NEW)]).toEqual(['web', 'stale'])
  expect(nameOf(await waitFor(BOUND, 900))).toBe('web')
  pods.progress()
  await settle()
  expect(registry.freshness().stale).toBe(false)
  expect(who(NEW)).toBe('unknown')
  await close()
})

test('out of touch, a pod that should have ended by now is not vouched for any more', async () => {
  const { clock, registry, who, pods, settle, close } = await startSynced([web])
  pods.upsert({ ...web, deletedAt: new Date(clock.now() + 30_000) })
  await settle()
  pods.stale()
  await clock.advance(29_999)
  expect(who(BOUND)).toBe('web')
  await clock.advance(1)
  expect(who(BOUND)).toBe('stale')
  pods.progress()
  await settle()
  expect([registry.freshness().feeds.pods?.lost, who(BOUND)]).toEqual([false, 'web'])
  await close()
})

test('who waits because the watch is lost is answered when it is heard again, without a timer firing', async () => {
  const ending = { ...web, deletedAt: new Date(0) }
  const { waitFor, pods, settle, clock, close } = await startSynced([ending])
  pods.stale()
  await settle()
  const answer = waitFor(BOUND, 900)
  await settle()
  pods.progress()
  expect(nameOf(await answer)).toBe('web')
  expect(clock.pending).toBe(0)
  await close()
})

test('events and bookmarks are progress; lost touch and a watch that merely stands again are not', async () => {
  const { clock, registry, pods, settle, close } = await startSynced([web])
  const age = (): number => registry.freshness().ageMs
  await clock.advance(1000)
  pods.stale()
  await settle()
  expect([age(), registry.freshness().feeds.pods?.lost]).toEqual([1000, true])
  pods.push({ kind: 'resumed' })
  await settle()
  expect([age(), registry.freshness().feeds.pods?.lost]).toEqual([1000, false])
  pods.upsert(web)
  await settle()
  expect(age()).toBe(0)
  await close()
})

test('setting the machine’s time makes nothing stale and nothing fresh', async () => {
  const { clock, registry, close } = await startSynced([web])
  clock.jump(86_400_000)
  expect(registry.freshness()).toMatchObject({ stale: false, ageMs: 0 })
  await clock.advance(400_000)
  clock.jump(-86_400_000 * 2)
  expect(registry.freshness()).toMatchObject({ stale: true, ageMs: 400_000 })
  await close()
})

test('it is synced when every feed has had its first list, and says when', async () => {
  const { pods, namespaces, serviceAccounts, registry, settle, events, close } = startFollowing({
    withServiceAccounts: true,
  })
  const synced = (): boolean => registry.freshness().synced
  pods.snapshot(web)
  namespaces.snapshot(aNamespace())
  await settle()
  expect(synced()).toBe(false)
  serviceAccounts.snapshot()
  await registry.synced()
  expect(synced()).toBe(true)
  expect(events.filter(({ kind }) => kind === 'feed-synced')).toMatchObject([
    { feed: 'pods', items: 1 },
    { feed: 'namespaces', items: 1 },
    { feed: 'serviceAccounts', items: 0 },
  ])
  await close()
})

test('a later list says how much it corrected', async () => {
  const { pods, events, settle, close } = await startSynced([web])
  pods.snapshot(aPod({ name: 'other', addresses: [NEW] }))
  await settle()
  expect(events).toContainEqual({ kind: 'feed-relisted', feed: 'pods', items: 1, corrected: 2 })
  await close()
})

test('lost touch and its end are told once each', async () => {
  const { pods, events, settle, clock, close } = await startSynced([web])
  pods.stale('reset')
  await settle()
  await clock.advance(500)
  pods.progress()
  await settle()
  const told = events.filter(({ kind }) => kind === 'feed-stale' || kind === 'feed-recovered')
  expect(told).toEqual([
    { kind: 'feed-stale', feed: 'pods', code: 'FEED_WATCH_FAILED', message: 'reset' },
    { kind: 'feed-recovered', feed: 'pods', afterMs: 500 },
  ])
  await close()
})
