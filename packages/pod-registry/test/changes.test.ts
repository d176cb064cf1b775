import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import type { RegistryChange } from '../src/index.ts'
import { startSynced } from './following.ts'

const X = '10.0.0.7'

function short(change: RegistryChange): string {
  switch (change.kind) {
    case 'bound':
    case 'changed':
    case 'seen':
    case 'gone':
      return `${change.kind} ${change.pod.name}`
    case 'namespace':
      return `namespace ${change.name}${change.after === undefined ? ' gone' : ''}`
    case 'service-account':
      return `service-account ${change.namespace}/${change.name}${change.after === undefined ? ' gone' : ''}`
    default:
      return change satisfies never
  }
}

test('subscribers hear of pods that are bound, changed and gone, when lookups already see it', async () => {
  const { registry, pods, settle, who, close } = await startSynced()
  const heard: string[] = []
  const end = registry.onChange((change) => heard.push(`${short(change)}: ${who(X)}`))
  const web = aPod({ name: 'web', addresses: [], phase: 'Pending' })
  pods.upsert(web)
  pods.upsert(aPod({ name: 'web', addresses: [X], phase: 'Pending' }))
  pods.upsert(aPod({ name: 'web', addresses: [X], annotations: { role: 'r' } }))
  pods.upsert(aPod({ name: 'web', addresses: [X], annotations: { role: 'r' } }))
  pods.upsert(aPod({ name: 'web', addresses: [X], phase: 'Succeeded' }))
  pods.delete(web)
  await settle()
  expect(heard).toEqual(['bound web: web', 'changed web: web', 'gone web: unknown'])
  end()
  pods.upsert(aPod({ name: 'next', addresses: [X] }))
  await settle()
  expect(heard).toHaveLength(3)
  await close()
})

test('a pod without an address of its own is gone too: by a token it may have got something', async () => {
  const host = aPod({ name: 'host', addresses: ['10.1.0.1'], hostNetwork: true })
  const early = aPod({ name: 'early', addresses: [], phase: 'Pending' })
  const job = aPod({ name: 'job', addresses: ['10.1.0.1'], hostNetwork: true })
  const { registry, pods, settle, close } = await startSynced([host, early, job])
  const heard: string[] = []
  registry.onChange((change) => heard.push(short(change)))
  pods.delete(host)
  pods.delete(early)
  pods.upsert({ ...job, phase: 'Succeeded' })
  pods.delete(job)
  await settle()
  expect(heard).toEqual(['gone host', 'gone early', 'gone job'])
  await close()
})

test('a host-network pod is seen when it appears and when it is otherwise than it was', async () => {
  const host = aPod({ name: 'host', addresses: ['10.1.0.1'], hostNetwork: true })
  const { registry, pods, settle, close } = await startSynced()
  const heard: string[] = []
  registry.onChange((change) => heard.push(short(change)))
  pods.upsert(host)
  pods.upsert({ ...host })
  pods.snapshot({ ...host })
  pods.upsert({ ...host, annotations: { role: 'r' } })
  pods.snapshot({ ...host, annotations: { role: 's' } })
  pods.upsert({ ...host, phase: 'Succeeded' })
  pods.upsert({ ...host, phase: 'Succeeded', annotations: {} })
  pods.upsert(aPod({ name: 'job', addresses: ['10.1.0.1'], hostNetwork: true, phase: 'Failed' }))
  await settle()
  expect(heard).toEqual(['seen host', 'seen host', 'seen host', 'gone host'])
  await close()
})

test('a list that replaces everything tells the differences, and no moment is empty', async () => {
  const kept = aPod({ name: 'kept', addresses: ['10.0.0.1'] })
  const { registry, pods, settle, who, close } = await startSynced([
    kept,
    aPod({ name: 'old', addresses: [X] }),
  ])
  const heard: string[] = []
  registry.onChange((change) => heard.push(`${short(change)}: ${who('10.0.0.1')}`))
  pods.snapshot(kept, aPod({ name: 'new', addresses: [X] }))
  await settle()
  expect(heard.toSorted()).toEqual(['bound new: kept', 'gone old: kept'])
  expect(who(X)).toBe('new')
  await close()
})

test('subscribers hear of namespaces and service accounts whose annotations change', async () => {
  const { registry, namespaces, serviceAccounts, settle, close } = await startSynced([], {
    withServiceAccounts: true,
  })
  const heard: string[] = []
  registry.onChange((change) => heard.push(short(change)))
  namespaces.upsert(aNamespace({ name: 'default' }))
  namespaces.upsert(aNamespace({ name: 'default', annotations: { a: 'b' } }))
  namespaces.upsert(aNamespace({ name: 'team' }))
  namespaces.delete(aNamespace({ name: 'team' }))
  await settle()
  serviceAccounts.upsert({ namespace: 'team', name: 'sa', annotations: {} })
  serviceAccounts.snapshot()
  await settle()
  expect(heard).toEqual([
    'namespace default',
    'namespace team',
    'namespace team gone',
    'service-account team/sa',
    'service-account team/sa gone',
  ])
  await close()
})

test('the debug page shows every pod, also those without an address', async () => {
  const { registry, close } = await startSynced([aPod({ name: 'a' }), aPod({ name: 'b', addresses: [] })])
  const { pods, namespaces } = registry.debugStore()
  expect(pods.map(({ name }) => name)).toEqual(['a', 'b'])
  expect(namespaces).toEqual([aNamespace()])
  expect(registry.sizes()).toEqual({
    pods: 2,
    namespaces: 1,
    serviceAccounts: 0,
    ambiguousAddresses: 0,
    waiting: 0,
  })
  await close()
})
