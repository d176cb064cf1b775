import { expect, it } from 'vitest'
import { createLifeSigns } from './life-signs.ts'
import type { Observed } from './plan.ts'
import type { Reached } from './reach.ts'
import { type Owner, ownComment } from './rule.ts'

const owner: Owner = { instance: 'later', startedAt: 2 }
const other: Owner = { instance: 'other', startedAt: 1 }

/** Rules of an instance that lead to these addresses. */
const leadingTo = (...addresses: readonly string[]): Observed =>
  new Map([
    [
      'ip/nat',
      new Map([
        [
          'KUBE2IAM-REDIRECT',
          {
            rules: addresses.map((address) => ({
              comment: ownComment(owner, 'redirect'),
              target: { kind: 'dnat', address, port: 8282 } as const,
              raw: '',
              packets: 0,
              bytes: 0,
            })),
          },
        ],
      ]),
    ],
  ])

function setUp(...answers: readonly Reached[]) {
  const left = [...answers]
  const signs = createLifeSigns(async () => left.shift() ?? 'refused')
  const check = async () => {
    const { reached, dead } = await signs.check(owner, leadingTo('10.0.0.1'))
    return dead ? 'dead' : reached
  }
  return { signs, check }
}

it('takes an instance for dead that was refused three times in a row', async () => {
  const { signs, check } = setUp('refused', 'refused', 'answered', 'refused', 'refused', 'unknown')
  const seen: string[] = []
  for (let turn = 0; turn < 9; turn += 1) seen.push(await check())
  expect(seen.join(' ')).toBe('refused refused answered refused refused unknown refused refused dead')
  expect(signs.inDoubt).toBe(false)
})

it('forgets refusals of an instance that was not met in between', async () => {
  const { signs, check } = setUp()
  await check()
  await check()
  expect(signs.inDoubt).toBe(true)
  signs.keepOnly([other])
  expect(signs.inDoubt).toBe(false)
  expect(await check()).toBe('refused')
  signs.keepOnly([owner])
  expect(await check()).toBe('refused')
  expect(await check()).toBe('dead')
})

it('has one answer of several addresses suffice, and says nothing of rules that lead nowhere', async () => {
  const signs = createLifeSigns(async (address) => (address === 'fd00::1' ? 'answered' : 'refused'))
  const both = leadingTo('10.0.0.1', 'fd00::1')
  expect(await signs.check(owner, both)).toEqual({ reached: 'answered', dead: false })
  expect(await signs.check(owner, leadingTo())).toEqual({ reached: 'unknown', dead: false })
  expect(await signs.check(other, both)).toEqual({ reached: 'unknown', dead: false })
})

it('finds nobody dead that it cannot try', async () => {
  const signs = createLifeSigns(undefined)
  for (let turn = 0; turn < 5; turn += 1)
    expect(await signs.check(owner, leadingTo('10.0.0.1'))).toEqual({ reached: 'unknown', dead: false })
})
