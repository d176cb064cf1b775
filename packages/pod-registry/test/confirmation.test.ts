import type { IpAddress, PodIdentity } from '@kube2iam-ts/core'
import { aPod } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import type { ConfirmAddress, DirectAnswer } from '../src/index.ts'
import { createAddressConfirmation } from '../src/kubernetes.ts'
import { createFakeApiServer } from '../src/testing.ts'
import { ip, nameOf, startSynced } from './following.ts'

const X = '10.0.0.7'
const old = aPod({ name: 'old', addresses: [X] })
const fresh = aPod({ name: 'fresh', addresses: [X] })

/** A source that answers with what it is given, and keeps what it was asked. */
function source(answer: () => DirectAnswer | Error | Promise<DirectAnswer>) {
  const asked: IpAddress[] = []
  const confirm: ConfirmAddress = async (address) => {
    asked.push(address)
    const given = await answer()
    if (given instanceof Error) throw given
    return given
  }
  return { asked, confirm }
}

describe('direct confirmation (in place of jtblin/kube2iam’s --resolve-duplicate-cache-ips)', () => {
  test('asks nothing while the watch is well', async () => {
    const { asked, confirm } = source(() => ({ pods: [fresh] }))
    const { waitFor, clock, close } = await startSynced([old], { confirm })
    expect(nameOf(await waitFor(X, 900))).toBe('old')
    const unknown = waitFor('10.0.0.9', 900)
    await clock.advance(900)
    expect(nameOf(await unknown)).toBe('unknown')
    expect(asked).toEqual([])
    await close()
  })

  test('when touch is lost, a bound address is asked about and the newer answer wins', async () => {
    const { asked, confirm } = source(() => ({ pods: [fresh] }))
    const { pods, waitFor, who, settle, events, close } = await startSynced([old], { confirm })
    pods.stale()
    await settle()
    expect(nameOf(await waitFor(X, 900))).toBe('fresh')
    expect(who(X)).toBe('fresh')
    expect(asked).toEqual([X])
    expect(events).toContainEqual({ kind: 'address-confirmed', address: X, outcome: 'one', tookMs: 0 })
    await close()
  })

  test('says which addresses are in doubt: those that nobody has asked about within the last second', async () => {
    const { confirm } = source(() => ({ pods: [fresh] }))
    const { registry, pods, waitFor, settle, clock, close } = await startSynced([old], { confirm })
    const inDoubt = (): boolean => registry.isInDoubt(ip(X))
    expect(inDoubt()).toBe(false)
    pods.stale()
    await settle()
    expect(inDoubt()).toBe(true)
    await waitFor(X, 900)
    expect(inDoubt()).toBe(false)
    await clock.advance(1_000)
    expect(inDoubt()).toBe(true)
    await close()
    const nobody = await startSynced([old])
    nobody.pods.stale()
    await nobody.settle()
    expect(nobody.registry.isInDoubt(ip(X))).toBe(false)
    await nobody.close()
  })

  test('when touch is lost and the question fails, bound pods are served on', async () => {
    const { confirm } = source(() => new Error('no API server'))
    const { pods, waitFor, settle, close } = await startSynced([old], { confirm })
    pods.stale()
    await settle()
    expect(nameOf(await waitFor(X, 900))).toBe('old')
    await close()
  })

  test('when touch is lost, a new pod is known by the direct answer', async () => {
    const { confirm } = source(() => ({ pods: [fresh] }))
    const { pods, waitFor, settle, close } = await startSynced([], { confirm })
    pods.stale()
    await settle()
    expect(await waitFor(X, 900)).toMatchObject({
      kind: 'found',
      pod: { name: 'fresh' },
      namespace: { name: 'default' },
    })
    await close()
  })

  test('an ambiguous address is asked about, and a single answer resolves it', async () => {
    const { confirm } = source(() => ({ pods: [fresh] }))
    const { waitFor, close } = await startSynced([old, fresh], { confirm })
    expect(nameOf(await waitFor(X, 900))).toBe('fresh')
    await close()
  })

  test.each<[string, PodIdentity[]]>([
    ['two pods', [old, fresh]],
    ['no pod', []],
    ['a finished pod', [{ ...fresh, phase: 'Succeeded' }]],
    ['a host-network pod', [{ ...fresh, hostNetwork: true }]],
    ['a pod of another address', [aPod({ name: 'other', addresses: ['10.0.0.8'] })]],
  ])('an answer of %s names nobody', async (_, answer) => {
    const { confirm } = source(() => ({ pods: answer }))
    const { pods, waitFor, settle, clock, close } = await startSynced([], { confirm })
    pods.stale()
    await settle()
    const lookup = waitFor(X, 900)
    await clock.advance(900)
    expect((await lookup).kind).not.toBe('found')
    await close()
  })

  test('one address is asked about once a second, however many ask', async () => {
    const { asked, confirm } = source(() => ({ pods: [fresh] }))
    const { pods, waitFor, settle, clock, close } = await startSynced([], { confirm })
    pods.stale()
    await settle()
    await Promise.all(Array.from({ length: 50 }, () => waitFor(X, 900)))
    expect(asked).toHaveLength(1)
    await clock.advance(999)
    await waitFor(X, 900)
    expect(asked).toHaveLength(1)
    await clock.advance(1)
    await waitFor(X, 900)
    expect(asked).toHaveLength(2)
    await close()
  })

  test('no more than sixteen questions are under way at a time', async () => {
    const { asked, confirm } = source(() => new Promise<never>(() => {}))
    const { pods, waitFor, settle, clock, close } = await startSynced([], { confirm })
    pods.stale()
    await settle()
    const answers = Array.from({ length: 40 }, (_, index) => waitFor(`10.0.1.${index}`, 900))
    await clock.advance(900)
    await Promise.all(answers)
    expect(asked).toHaveLength(16)
    await close()
  })

  test('an answer that is newer than the watch holds until the watch has caught up', async () => {
    const { confirm } = source(() => ({ pods: [fresh], version: '120' }))
    const { pods, waitFor, who, settle, clock, close } = await startSynced([], { confirm })
    pods.push({ kind: 'snapshot', items: [old], version: '100' })
    pods.stale()
    await settle()
    expect(nameOf(await waitFor(X, 900))).toBe('fresh')
    pods.push({ kind: 'resumed' })
    pods.push({ kind: 'upsert', item: aPod({ name: 'bystander', addresses: ['10.0.0.8'] }), version: '110' })
    await settle()
    await clock.advance(30_000)
    expect(who(X)).toBe('fresh')
    pods.push({ kind: 'delete', item: old, version: '121' })
    await settle()
    expect(who(X)).toBe('unknown')
    await close()
  })

  test('the answer that nobody is there holds as well', async () => {
    const { confirm } = source(() => ({ pods: [], version: '120' }))
    const { pods, waitFor, who, settle, clock, close } = await startSynced([], { confirm })
    pods.push({ kind: 'snapshot', items: [old], version: '100' })
    pods.stale()
    await settle()
    const answer = waitFor(X, 900)
    await clock.advance(900)
    expect([nameOf(await answer), who(X)]).toEqual(['unknown', 'unknown'])
    await close()
  })

  test('beyond the limit of staleness, the answer that nobody is there is an answer: unknown, not stale', async () => {
    const { confirm } = source(() => ({ pods: [] }))
    const { waitFor, who, clock, close } = await startSynced([], { confirm })
    await clock.advance(300_001)
    expect(who(X)).toBe('stale')
    const answer = waitFor(X, 900)
    await clock.advance(900)
    expect(nameOf(await answer)).toBe('unknown')
    await close()
  })

  test('an answer that the watch has passed already changes nothing', async () => {
    const { confirm } = source(() => ({ pods: [old], version: '90' }))
    const { pods, waitFor, settle, close } = await startSynced([], { confirm })
    pods.push({ kind: 'snapshot', items: [fresh], version: '100' })
    pods.stale()
    await settle()
    expect(nameOf(await waitFor(X, 900))).toBe('fresh')
    await close()
  })
})

describe('the question to the API server', () => {
  const signal = new AbortController().signal
  const status = (...ips: string[]) => ({
    phase: 'Running',
    podIP: ips[0],
    podIPs: ips.map((address) => ({ ip: address })),
  })
  const dual = {
    kind: 'Pod',
    metadata: { name: 'dual', namespace: 'default' },
    spec: { nodeName: 'node-1' },
    status: status('10.0.0.7', 'fd00::7'),
  }

  test('selects by status.podIP and the node', async () => {
    const server = createFakeApiServer()
    server.apply(dual)
    server.apply({ ...dual, metadata: { name: 'elsewhere' }, spec: { nodeName: 'node-2' } })
    const connection = server.connection()
    const ask = createAddressConfirmation({ connection, annotationKeys: [], node: 'node-1' })
    const answer = await ask(ip('10.0.0.7'), signal)
    expect(answer).toMatchObject({ pods: [{ name: 'dual' }], version: server.resourceVersion })
    expect(server.requests).toHaveLength(1)
    expect(decodeURIComponent(server.requests[0]?.path ?? '')).toContain(
      'status.podIP=10.0.0.7,spec.nodeName=node-1',
    )
  })

  test('finds a dual-stack pod by its second address, which the selector does not know', async () => {
    const server = createFakeApiServer()
    server.apply(dual)
    const ask = createAddressConfirmation({
      connection: server.connection(),
      annotationKeys: [],
      node: 'node-1',
    })
    expect((await ask(ip('fd00::7'), signal)).pods).toMatchObject([{ name: 'dual' }])
    expect((await ask(ip('fd00::8'), signal)).pods).toEqual([])
  })

  test('that is refused is an error, and not the answer that nobody is there', async () => {
    const server = createFakeApiServer()
    server.faults.fail({ status: 403 })
    const ask = createAddressConfirmation({ connection: server.connection(), annotationKeys: [] })
    await expect(ask(ip('10.0.0.7'), signal)).rejects.toMatchObject({ code: 'FEED_FORBIDDEN' })
  })
})
