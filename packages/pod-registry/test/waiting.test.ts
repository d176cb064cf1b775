import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { nameOf, startFollowing, startSynced } from './following.ts'

const X = '10.0.0.7'

test('who asks before the pod is known is woken by its event, without a timer firing', async () => {
  const { pods, clock, waitFor, settle, close } = await startSynced()
  const answer = waitFor(X, 900)
  await settle()
  pods.upsert(aPod({ name: 'web', addresses: [X] }))
  expect(nameOf(await answer)).toBe('web')
  expect(clock.pending).toBe(0)
  await close()
})

test('who asks before the first list is woken by it', async () => {
  const { pods, namespaces, waitFor, settle, close } = startFollowing()
  const answer = waitFor(X, 900)
  await settle()
  namespaces.snapshot(aNamespace())
  pods.snapshot(aPod({ name: 'web', addresses: [X] }))
  expect(nameOf(await answer)).toBe('web')
  await close()
})

test('the answer at the deadline is what is known then', async () => {
  const { waitFor, clock, close } = await startSynced()
  const answer = waitFor(X, 900)
  await clock.advance(899)
  let isAnswered = false
  void answer.then(() => (isAnswered = true))
  await clock.advance(0)
  expect(isAnswered).toBe(false)
  await clock.advance(1)
  expect(await answer).toEqual({ kind: 'unknown' })
  await close()
})

test('before the first list the answer at the deadline says so', async () => {
  const { waitFor, clock, close } = startFollowing()
  const answer = waitFor(X, 900)
  await clock.advance(900)
  expect(await answer).toEqual({ kind: 'not-synced' })
  await close()
})

test('a pod whose namespace is not known yet is waited for until it is', async () => {
  const { pods, namespaces, waitFor, settle, registry, close } = await startSynced()
  pods.upsert(aPod({ name: 'web', namespace: 'new', addresses: [X] }))
  await settle()
  const answer = waitFor(X, 900)
  await settle()
  expect(registry.sizes().waiting).toBe(1)
  namespaces.upsert(aNamespace({ name: 'new', annotations: { a: 'b' } }))
  expect(await answer).toMatchObject({ kind: 'found', namespace: { name: 'new', annotations: { a: 'b' } } })
  await close()
})

test('at the deadline a pod is answered without its namespace rather than not at all', async () => {
  const { waitFor, clock, close } = await startSynced([
    aPod({ name: 'web', namespace: 'new', addresses: [X] }),
  ])
  const answer = waitFor(X, 900)
  await clock.advance(900)
  expect(await answer).toMatchObject({ kind: 'found', pod: { name: 'web' }, namespace: undefined })
  await close()
})

test('where service accounts are watched, the pod’s own is waited for too', async () => {
  const web = aPod({ name: 'web', serviceAccount: 'builder', addresses: [X] })
  const { serviceAccounts, waitFor, settle, close } = await startSynced([web], { withServiceAccounts: true })
  const answer = waitFor(X, 900)
  await settle()
  serviceAccounts.upsert({ namespace: 'default', name: 'builder', annotations: { role: 'b' } })
  expect(await answer).toMatchObject({ kind: 'found', serviceAccount: { annotations: { role: 'b' } } })
  await close()
})

test('an ambiguous address is waited for until one of the two is gone', async () => {
  const one = aPod({ name: 'one', addresses: [X] })
  const two = aPod({ name: 'two', addresses: [X] })
  const { pods, waitFor, settle, close } = await startSynced([one, two])
  const answer = waitFor(X, 900)
  await settle()
  pods.delete(one)
  expect(nameOf(await answer)).toBe('two')
  await close()
})

test('a caller that hangs up leaves nothing behind', async () => {
  const { waitFor, clock, registry, close } = await startSynced()
  const hangUp = new AbortController()
  const answer = waitFor(X, 900, hangUp.signal)
  hangUp.abort()
  await expect(answer).rejects.toMatchObject({ code: 'ABORTED' })
  expect([registry.sizes().waiting, clock.pending]).toEqual([0, 0])
  await expect(waitFor(X, 900, hangUp.signal)).rejects.toMatchObject({ code: 'ABORTED' })
  await close()
})

test('so many may wait for one address, and so many altogether', async () => {
  const settings = { maxWaitersPerAddress: 2, maxWaiters: 3 }
  const { waitFor, registry, events, clock, close } = await startSynced([], { settings })
  const waiting = [waitFor('10.0.0.1', 900), waitFor('10.0.0.1', 900)]
  expect(await waitFor('10.0.0.1', 900)).toEqual({ kind: 'overloaded' })
  waiting.push(waitFor('10.0.0.2', 900))
  expect(await waitFor('10.0.0.3', 900)).toEqual({ kind: 'overloaded' })
  expect(registry.sizes().waiting).toBe(3)
  expect(events.filter(({ kind }) => kind === 'lookup-overloaded')).toHaveLength(2)
  await clock.advance(900)
  expect((await Promise.all(waiting)).map(nameOf)).toEqual(['unknown', 'unknown', 'unknown'])
  expect(registry.sizes().waiting).toBe(0)
  // Who has left makes room again, at the same address too.
  const again = waitFor('10.0.0.1', 900)
  await clock.advance(900)
  expect(nameOf(await again)).toBe('unknown')
  await close()
})

test('closing answers everybody who waits and ends the feeds', async () => {
  const { waitFor, registry, clock, close } = await startSynced()
  const answer = waitFor(X, 900)
  await close()
  expect(await answer).toEqual({ kind: 'unknown' })
  expect([registry.sizes().waiting, clock.pending]).toEqual([0, 0])
  expect(await waitFor(X, 900)).toEqual({ kind: 'unknown' })
})

test('an abort of the signal given to start closes the registry', async () => {
  const stop = new AbortController()
  const { registry, waitFor, clock } = startFollowing({ signal: stop.signal })
  const [answer, synced] = [waitFor(X, 900), registry.synced()]
  stop.abort()
  expect(nameOf(await answer)).toBe('not-synced')
  await expect(synced).rejects.toMatchObject({ code: 'ABORTED' })
  await registry.close()
  expect(clock.pending).toBe(0)
})
