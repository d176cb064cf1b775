import type { PodIdentity } from '@kube2iam-ts/core'
import { aPod } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import type { DirectAnswer } from '../src/index.ts'
import { createFakeAttachments } from '../src/testing.ts'
import { type FollowingOptions, ip, nameOf, startSynced } from './following.ts'

const X = '10.0.0.7'
const old = aPod({ name: 'old', addresses: [X] })
const fresh = aPod({ name: 'fresh', addresses: [X] })
const at = (iso: string): number => Date.parse(`2026-01-01T${iso}Z`) / 1000

/** `old` is at the address by its own interface; then the address moves and nobody tells. */
async function moved(
  options: FollowingOptions & {
    direct?: () => DirectAnswer | Error
    pod?: PodIdentity
    version?: string
  } = {},
) {
  const { direct, pod = old, version, ...more } = options
  const node = createFakeAttachments()
  node.attach('eth0')
  node.attach('veth-old', ip(X))
  let asked = 0
  const following = await startSynced([pod], {
    attachments: node,
    ...(direct && {
      confirm: async () => {
        asked += 1
        const answer = direct()
        if (answer instanceof Error) throw answer
        return answer
      },
    }),
    ...more,
  })
  if (version !== undefined) following.pods.push({ kind: 'snapshot', items: [pod], version })
  await following.settle()
  expect(following.who(X)).toBe('old')
  await following.clock.advance(3000)
  const move = (): void => {
    node.detach('veth-old')
    node.attach('veth-new', ip(X))
  }
  return {
    ...following,
    node,
    move,
    asked: () => asked,
    /** Asks as a request does, and waits as long. */
    async ask() {
      const answer = following.waitFor(X, 900)
      await following.clock.advance(900)
      return nameOf(await answer)
    },
  }
}

describe('an address that moves while the watch is open and says nothing', () => {
  test('is not the former pod’s: its interface is younger than the news of it', async () => {
    const { move, who, ask, events, registry, close } = await moved()
    move()
    expect(who(X)).toBe('in-doubt')
    expect(registry.lookup(ip(X))).toMatchObject({ pod: { name: 'old' }, interface: 'veth-new#3' })
    expect(await ask()).toBe('in-doubt')
    expect(events.filter(({ kind }) => kind === 'address-in-doubt')).toEqual([
      { kind: 'address-in-doubt', address: X, pod: old, interface: 'veth-new#3' },
    ])
    await close()
  })

  test('is the new pod’s by the API server’s answer', async () => {
    const { move, ask, asked, who, close } = await moved({ direct: () => ({ pods: [fresh] }) })
    expect([await ask(), asked()]).toEqual(['old', 0])
    move()
    expect([await ask(), asked()]).toEqual(['fresh', 1])
    expect(who(X)).toBe('fresh')
    await close()
  })

  test('is asked about although nothing is known to be behind and direct questions are off', async () => {
    const { move, ask, asked, registry, close } = await moved({
      direct: () => ({ pods: [fresh] }),
      settings: { confirmWhenBehind: false },
    })
    expect(registry.isInDoubt(ip(X))).toBe(false)
    move()
    expect(registry.isInDoubt(ip(X))).toBe(true)
    expect([await ask(), asked()]).toEqual(['fresh', 1])
    await close()
  })

  test('is nobody’s while the API server still names the former pod, and it is asked once a second', async () => {
    const { move, waitFor, ask, asked, clock, close } = await moved({ direct: () => ({ pods: [old] }) })
    move()
    const many = Array.from({ length: 20 }, () => waitFor(X, 900))
    await clock.advance(900)
    expect((await Promise.all(many)).map(nameOf)).toEqual(Array(20).fill('in-doubt'))
    expect([await ask(), asked()]).toEqual(['in-doubt', 1])
    expect([await ask(), asked()]).toEqual(['in-doubt', 2])
    await close()
  })

  test('is nobody’s while the API server does not answer', async () => {
    const { move, ask, close } = await moved({ direct: () => new Error('no API server') })
    move()
    expect(await ask()).toBe('in-doubt')
    await close()
  })

  test('is unknown where the API server knows of nobody, and is asked about again', async () => {
    let pods: readonly PodIdentity[] = []
    const {
      move,
      ask,
      pods: feed,
      settle,
      clock,
      close,
    } = await moved({
      direct: () => ({ pods, version: '120' }),
    })
    feed.push({ kind: 'snapshot', items: [old], version: '100' })
    await settle()
    move()
    expect(await ask()).toBe('unknown')
    pods = [fresh]
    await clock.advance(100)
    expect(await ask()).toBe('fresh')
    await close()
  })

  test('is two pods’ while the API server says so, and is asked about again though nothing else would be', async () => {
    let pods = [old, fresh]
    const { move, ask, clock, close } = await moved({
      direct: () => ({ pods, version: '120' }),
      settings: { confirmWhenBehind: false },
      version: '100',
    })
    move()
    expect(await ask()).toBe('ambiguous')
    pods = [fresh]
    await clock.advance(1000)
    expect(await ask()).toBe('fresh')
    await close()
  })

  test('is asked about again each second for who waits so long', async () => {
    let pods = [old]
    const { move, waitFor, asked, clock, close } = await moved({ direct: () => ({ pods }) })
    move()
    const answer = waitFor(X, 5000)
    await clock.advance(1500)
    pods = [fresh]
    await clock.advance(500)
    expect([nameOf(await answer), asked()]).toEqual(['fresh', 3])
    await close()
    expect(clock.pending).toBe(0)
  })

  test('wakes who waits, when the watch speaks again', async () => {
    const { move, waitFor, pods, settle, close } = await moved()
    move()
    const answer = waitFor(X, 900)
    pods.delete(old)
    pods.upsert(fresh)
    await settle()
    expect(nameOf(await answer)).toBe('fresh')
    await close()
  })

  test('moves on to a third pod: nor is the second’s direct answer good for it', async () => {
    const third = aPod({ name: 'third', addresses: [X] })
    let pods = [fresh]
    const {
      move,
      node,
      ask,
      who,
      pods: feed,
      settle,
      clock,
      close,
    } = await moved({
      direct: () => ({ pods, version: '120' }),
    })
    feed.push({ kind: 'snapshot', items: [old], version: '100' })
    await settle()
    move()
    expect(await ask()).toBe('fresh')
    node.detach('veth-new')
    node.attach('veth-third', ip(X))
    expect(who(X)).toBe('in-doubt')
    await clock.advance(1000)
    expect(await ask()).toBe('in-doubt')
    pods = [third]
    await clock.advance(1000)
    expect(await ask()).toBe('third')
    await close()
  })

  test('stays in doubt while the node is at a loss', async () => {
    const { move, node, who, close } = await moved()
    move()
    expect(who(X)).toBe('in-doubt')
    node.unroute(ip(X))
    expect(who(X)).toBe('in-doubt')
    await close()
  })

  test('is no more in doubt when it comes by the pod’s own interface', async () => {
    const { node, who, events, close } = await moved()
    node.attach('veth-forger', ip(X))
    expect(who(X)).toBe('in-doubt')
    node.attach('veth-second-forger', ip(X))
    expect(who(X)).toBe('in-doubt')
    node.lead(ip(X), 'veth-old')
    expect(who(X)).toBe('old')
    await close()
    expect(events.filter(({ kind }) => kind.startsWith('address-'))).toMatchObject([
      { kind: 'address-in-doubt', interface: 'veth-forger#3' },
      { kind: 'address-out-of-doubt', by: 'interface' },
    ])
  })
})

describe('a pod whose sandbox was made anew under the same address', () => {
  const before = { ...old, sandboxSeconds: at('00:00:00') }

  test('has its address again when the kubelet says that the sandbox is as new as the interface', async () => {
    const { move, ask, waitFor, pods, settle, events, close } = await moved({
      pod: { ...before, sandboxSeconds: at('00:00:00') },
      direct: () => ({ pods: [before] }),
    })
    move()
    expect(await ask()).toBe('in-doubt')
    const waiting = waitFor(X, 900)
    pods.upsert({ ...old, sandboxSeconds: at('00:00:02') })
    await settle()
    expect(nameOf(await waiting)).toBe('old')
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'address-out-of-doubt', address: X, by: 'interface' }),
    )
    await close()
  })

  test('has it after a minute of the same interface, if the API server then still names it alone', async () => {
    let pods = [old]
    const { move, ask, clock, events, who, close } = await moved({ direct: () => ({ pods }) })
    move()
    expect(await ask()).toBe('in-doubt')
    await clock.advance(58_000)
    expect(await ask()).toBe('in-doubt')
    pods = [old, fresh]
    await clock.advance(1000)
    expect(await ask()).toBe('ambiguous')
    expect(who(X)).toBe('ambiguous')
    pods = [old]
    await clock.advance(2000)
    expect(await ask()).toBe('old')
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'address-out-of-doubt', address: X, by: 'time' }),
    )
    await clock.advance(600_000)
    expect(who(X)).toBe('old')
    await close()
  })

  test('an answer that was asked for before the minute was over does not count', async () => {
    let answer: (value: DirectAnswer) => void = () => {}
    const node = createFakeAttachments()
    node.attach('veth-old', ip(X))
    const following = await startSynced([old], {
      attachments: node,
      confirm: () => new Promise((resolve) => void (answer = resolve)),
    })
    node.detach('veth-old')
    node.attach('veth-new', ip(X))
    expect(following.who(X)).toBe('in-doubt')
    await following.clock.advance(59_000)
    const waiting = following.waitFor(X, 3000)
    await following.clock.advance(2000)
    answer({ pods: [old] })
    await following.clock.advance(1000)
    expect(nameOf(await waiting)).toBe('in-doubt')
    await following.close()
  })

  test('and moved on once more: the minute begins anew', async () => {
    const { move, node, ask, clock, close } = await moved({ direct: () => ({ pods: [old] }) })
    move()
    await ask()
    await clock.advance(61_000)
    expect(await ask()).toBe('old')
    node.detach('veth-new')
    node.attach('veth-third', ip(X))
    await clock.advance(1000)
    expect(await ask()).toBe('in-doubt')
    await close()
  })

  test('a new address binds it anew', async () => {
    const { node, pods, who, settle, close } = await moved()
    node.attach('veth-again', ip('10.0.0.8'))
    pods.upsert({ ...old, addresses: [ip('10.0.0.8')] })
    await settle()
    expect(who('10.0.0.8')).toBe('old')
    await close()
  })
})

describe('news that come late', () => {
  test('of a pod that lost its address meanwhile do not make the new one’s interface its own', async () => {
    const node = createFakeAttachments()
    node.attach('eth0')
    const { pods, who, settle, clock, close } = await startSynced([], { attachments: node })
    // Another pod's news are a look at the node: the interface of the new pod is not there yet.
    await clock.advance(10_000)
    pods.upsert(aPod({ name: 'bystander', addresses: ['10.0.0.9'] }))
    await settle()
    await clock.advance(5000)
    node.attach('veth-new', ip(X))
    pods.upsert({ ...old, sandboxSeconds: at('00:00:02') })
    await settle()
    expect(who(X)).toBe('in-doubt')
    await close()
  })

  test('of a pod whose sandbox may be as new as the interface are believed', async () => {
    const node = createFakeAttachments()
    node.attach('eth0')
    const { pods, who, settle, clock, close } = await startSynced([], { attachments: node })
    await clock.advance(10_400)
    pods.upsert(aPod({ name: 'bystander', addresses: ['10.0.0.9'] }))
    await settle()
    node.attach('veth-new', ip(X))
    // Cut to the second: the sandbox is not known to be older than the last look.
    pods.upsert({ ...old, sandboxSeconds: at('00:00:10') })
    await settle()
    expect(who(X)).toBe('old')
    await close()
  })

  test('say nothing about times when the clock was set back', async () => {
    const node = createFakeAttachments()
    node.attach('eth0')
    const { pods, who, settle, clock, close } = await startSynced([], { attachments: node })
    await clock.advance(60_000)
    pods.upsert(aPod({ name: 'bystander', addresses: ['10.0.0.9'] }))
    await settle()
    clock.jump(-30_000)
    node.attach('veth-new', ip(X))
    pods.upsert({ ...old, sandboxSeconds: at('00:00:30') })
    await settle()
    expect(who(X)).toBe('old')
    await close()
  })
})

describe('a node that tells nothing', () => {
  test('changes nothing: the watch is believed', async () => {
    const { move, node, ask, asked, close } = await moved({ direct: () => ({ pods: [fresh] }) })
    node.isSilent = true
    move()
    expect([await ask(), asked()]).toEqual(['old', 0])
    await close()
  })

  test('for a while: pods that were bound meanwhile are compared with nothing', async () => {
    const { node, pods, who, settle, close } = await moved()
    node.isSilent = true
    pods.upsert(aPod({ name: 'late', addresses: ['10.0.0.9'] }))
    await settle()
    node.attach('veth-late', ip('10.0.0.9'))
    node.isSilent = false
    expect(who('10.0.0.9')).toBe('late')
    await close()
  })

  test('has the API server asked, once a second, where the watch was silent for a while and that is allowed', async () => {
    const options = { direct: () => ({ pods: [fresh] }) }
    const { move, node, ask, asked, registry, clock, pods, settle, close } = await moved(options)
    node.unroute(ip(X))
    move()
    node.unroute(ip(X))
    expect([await ask(), asked()]).toEqual(['old', 0])
    await clock.advance(2000)
    expect(registry.isInDoubt(ip(X))).toBe(true)
    expect([await ask(), asked()]).toEqual(['fresh', 1])
    pods.progress()
    await settle()
    expect([registry.isInDoubt(ip(X)), await ask(), asked()]).toEqual([false, 'old', 1])
    await close()
    const off = await moved({ ...options, settings: { confirmWhenBehind: false } })
    off.node.isSilent = true
    await off.clock.advance(60_000)
    expect([await off.ask(), off.asked()]).toEqual(['old', 0])
    await off.close()
  })

  test('has nobody asked about an address that comes by its pod’s interface, however silent the watch', async () => {
    const { ask, asked, clock, close } = await moved({ direct: () => ({ pods: [fresh] }) })
    await clock.advance(80_000)
    expect([await ask(), asked()]).toEqual(['old', 0])
    await close()
  })
})
