import { aPod } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { ip, nameOf, startSynced } from './following.ts'

// Each name ends with the public issue that shows what happens without the rule.

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)
const X = '10.0.0.7'

test('a finished pod holds no address: the next pod at it is known at once (jtblin/kube2iam#95, #244)', async () => {
  const job = aPod({ name: 'job-1', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([job])
  expect(who(X)).toBe('job-1')
  pods.upsert({ ...job, phase: 'Succeeded' })
  await settle()
  expect(who(X)).toBe('unknown')
  pods.upsert(aPod({ name: 'job-2', addresses: [X], createdAt: at(60) }))
  await settle()
  expect(who(X)).toBe('job-2')
  await close()
})

test('a pod that failed holds no address either (jtblin/kube2iam#95)', async () => {
  const { who, close } = await startSynced([aPod({ name: 'crashed', addresses: [X], phase: 'Failed' })])
  expect(who(X)).toBe('unknown')
  await close()
})

test('a terminating pod keeps its address until it is gone (jtblin/kube2iam#172)', async () => {
  const web = aPod({ name: 'web', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([web])
  pods.upsert({ ...web, deletedAt: at(30) })
  await settle()
  expect(who(X)).toBe('web')
  pods.delete({ ...web, deletedAt: at(30) })
  await settle()
  expect(who(X)).toBe('unknown')
  await close()
})

test('a pending pod with an address counts: its init containers ask (jtblin/kube2iam#46, #136)', async () => {
  const { who, close } = await startSynced([aPod({ name: 'starting', addresses: [X], phase: 'Pending' })])
  expect(who(X)).toBe('starting')
  await close()
})

test('a host-network pod never owns the address of its node (jtblin/kube2iam#184, #266)', async () => {
  const proxy = aPod({ name: 'kube-proxy', addresses: ['10.1.0.1'], hostNetwork: true })
  const { who, registry, close } = await startSynced([proxy])
  expect(who('10.1.0.1')).toBe('node')
  expect([...registry.pods()].map(({ name }) => name)).toEqual(['kube-proxy'])
  await close()
})

test('the address of the node is known by its host-network pods, at once and until the last one is gone', async () => {
  const proxy = aPod({ name: 'kube-proxy', addresses: ['10.1.0.1', 'fd00::1'], hostNetwork: true })
  const exporter = aPod({ name: 'exporter', addresses: ['10.1.0.1'], hostNetwork: true })
  const { who, waitFor, pods, settle, clock, close } = await startSynced([proxy, exporter])
  expect([who('10.1.0.1'), who('fd00::1'), who(X)]).toEqual(['node', 'node', 'unknown'])
  expect(nameOf(await waitFor('10.1.0.1', 900))).toBe('node')
  await clock.advance(400_000)
  expect([who('10.1.0.1'), who(X)]).toEqual(['node', 'stale'])
  pods.delete(proxy)
  await settle()
  expect([who('10.1.0.1'), who('fd00::1')]).toEqual(['node', 'unknown'])
  pods.snapshot()
  await settle()
  expect(who('10.1.0.1')).toBe('unknown')
  await close()
})

test('two live pods at one address: nobody is answered, and it is said (jtblin/kube2iam#244, uswitch/kiam#48)', async () => {
  const one = aPod({ name: 'one', addresses: [X], createdAt: at(0) })
  const two = aPod({ name: 'two', addresses: [X], createdAt: at(60) })
  const { pods, settle, who, registry, events, close } = await startSynced([one])
  pods.upsert(two)
  await settle()
  expect(registry.lookup(ip(X))).toMatchObject({
    kind: 'ambiguous',
    pods: [{ name: 'one' }, { name: 'two' }],
  })
  expect(registry.sizes().ambiguousAddresses).toBe(1)
  expect(events).toContainEqual({ kind: 'address-ambiguous', address: X, pods: [one, two] })
  pods.delete(one)
  await settle()
  expect(who(X)).toBe('two')
  expect(registry.sizes().ambiguousAddresses).toBe(0)
  expect(events).toContainEqual({ kind: 'address-resolved', address: X })
  await close()
})

test('a newer pod of the same name proves that the older is gone (jtblin/kube2iam#178, uswitch/kiam#48)', async () => {
  const old = aPod({ name: 'db-0', uid: 'old', addresses: [X], createdAt: at(0) })
  const fresh = aPod({ name: 'db-0', uid: 'fresh', addresses: [X], createdAt: at(60) })
  const { pods, settle, registry, close } = await startSynced([old])
  pods.upsert(fresh)
  await settle()
  expect(registry.lookup(ip(X))).toMatchObject({ kind: 'found', pod: { uid: 'fresh' } })
  pods.upsert(old)
  pods.delete(old)
  await settle()
  expect(registry.lookup(ip(X))).toMatchObject({ kind: 'found', pod: { uid: 'fresh' } })
  await close()
})

test('a late event of an older pod of the same name does not displace the newer (jtblin/kube2iam#178)', async () => {
  const old = aPod({ name: 'db-0', uid: 'old', addresses: [X], createdAt: at(0) })
  const fresh = aPod({ name: 'db-0', uid: 'fresh', addresses: ['10.0.0.8'], createdAt: at(60) })
  const { pods, settle, who, close } = await startSynced([fresh])
  pods.upsert(old)
  await settle()
  expect(who(X)).toBe('unknown')
  expect(who('10.0.0.8')).toBe('db-0')
  await close()
})

test('an address that moved to a new pod is never the old pod again, in whatever order the news come (uswitch/kiam#499)', async () => {
  const old = aPod({ name: 'old', addresses: [X], createdAt: at(0) })
  const fresh = aPod({ name: 'fresh', addresses: [X], createdAt: at(60) })
  const { pods, settle, who, close } = await startSynced([old])
  const seen = new Set<string>()
  pods.upsert(fresh)
  await settle()
  seen.add(who(X))
  pods.delete(old)
  await settle()
  seen.add(who(X))
  // Repetitions and stragglers of a pod whose deletion is known change nothing.
  for (const late of [old, { ...old, deletedAt: at(90) }, { ...old, annotations: { a: 'b' } }]) {
    pods.upsert(late)
    await settle()
    seen.add(who(X))
  }
  expect(seen).toEqual(new Set(['ambiguous', 'fresh']))
  await close()
})

test('a deleted pod does not come back by a late event before the next pod is known (uswitch/kiam#499)', async () => {
  const old = aPod({ name: 'old', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([old])
  pods.delete(old)
  pods.upsert(old)
  await settle()
  expect(who(X)).toBe('unknown')
  await close()
})

test('what vanished while out of touch is gone with the next list (jtblin/kube2iam#198, #333)', async () => {
  const old = aPod({ name: 'old', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([
    old,
    aPod({ name: 'kept', addresses: ['10.0.0.8'] }),
  ])
  pods.stale()
  pods.snapshot(aPod({ name: 'kept', addresses: ['10.0.0.8'] }), aPod({ name: 'fresh', addresses: [X] }))
  await settle()
  expect(who(X)).toBe('fresh')
  expect(who('10.0.0.8')).toBe('kept')
  await close()
})

test('a pod that one list leaves out is back with a later list that has it, and not with a late event', async () => {
  const web = aPod({ name: 'web', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([web])
  const seen: string[] = []
  const after = async (): Promise<void> => {
    await settle()
    seen.push(who(X))
  }
  pods.push({ kind: 'snapshot', items: [], version: '20' })
  await after()
  pods.push({ kind: 'upsert', item: web, version: '21' })
  await after()
  pods.push({ kind: 'snapshot', items: [web], version: '9' })
  await after()
  pods.push({ kind: 'snapshot', items: [web], version: '30' })
  await after()
  expect(seen).toEqual(['unknown', 'unknown', 'unknown', 'web'])
  await close()
})

test('a pod whose deletion was told is not brought back by a list either', async () => {
  const web = aPod({ name: 'web', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([web])
  pods.snapshot()
  pods.delete(web)
  pods.snapshot(web)
  await settle()
  expect(who(X)).toBe('unknown')
  await close()
})

test('where clocks disagree about which of two pods of one name is newer, the next list decides', async () => {
  const one = aPod({ name: 'db-0', uid: 'one', addresses: [X], createdAt: at(0) })
  const other = aPod({ name: 'db-0', uid: 'other', addresses: [X], createdAt: at(60) })
  const { pods, settle, registry, close } = await startSynced([one])
  pods.upsert(other)
  pods.snapshot(one)
  await settle()
  expect(registry.lookup(ip(X))).toMatchObject({ kind: 'found', pod: { uid: 'one' } })
  await close()
})

test('a pod is known by each of its addresses, in any spelling (jtblin/kube2iam#389)', async () => {
  const dual = aPod({ name: 'dual', addresses: ['10.0.0.7', '2001:db8::7'] })
  const { who, close } = await startSynced([dual])
  expect(who('10.0.0.7')).toBe('dual')
  expect(who('2001:0DB8:0::7')).toBe('dual')
  expect(who('::ffff:10.0.0.7')).toBe('dual')
  await close()
})

test('a pod whose address changes is known by the new one only (uswitch/kiam#48)', async () => {
  const web = aPod({ name: 'web', addresses: [X] })
  const { pods, settle, who, close } = await startSynced([web])
  pods.upsert(aPod({ name: 'web', addresses: ['10.0.0.8'] }))
  await settle()
  expect([who(X), who('10.0.0.8')]).toEqual(['unknown', 'web'])
  await close()
})

test('a role that is changed on a running pod is seen with the event (uswitch/kiam#48)', async () => {
  const web = aPod({ name: 'web', addresses: [X], annotations: { role: 'one' } })
  const { pods, settle, registry, close } = await startSynced([web])
  pods.upsert({ ...web, annotations: { role: 'two' } })
  await settle()
  expect(registry.lookup(ip(X))).toMatchObject({ kind: 'found', pod: { annotations: { role: 'two' } } })
  await close()
})
