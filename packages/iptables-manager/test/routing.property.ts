import { parseIpAddress } from '@kube2iam-ts/core'
import fc from 'fast-check'
import { expect } from 'vitest'
import { batchLines, parseRoutingRules, planRouting, routingRules } from '../src/lib/routing-rules.ts'
import { type CaptureSettings, FAMILIES, type Family } from '../src/lib/settings.ts'
import { createFakeNetfilter, type FakeNetfilter } from '../src/testing.ts'

const METADATA = { 4: '169.254.169.254', 6: 'fd00:ec2::254' } as const
const settings: CaptureSettings = {
  instance: 'me',
  hostIps: [parseIpAddress('10.0.0.1')],
  appPort: 8181,
  containerCredentials: true,
}

/** Anything that somebody, or another version of us, may have done to the routing policy. */
const damage = (family: Family): fc.Arbitrary<readonly string[]> => {
  const preference = fc.constantFrom('1', '6', '7', '8', '100').map((number) => ['pref', number])
  const protocol = fc.constantFrom(['protocol', '107'], ['protocol', '107'], ['protocol', 'static'], [])
  const selector = fc.subarray([
    ['from', family === 4 ? '10.0.0.0/8' : 'fd00::/8'],
    ['to', METADATA[family]],
    ['iif', 'lo'],
  ])
  const action = fc.constantFrom(['blackhole'], ['nop'], ['goto', '8'], ['goto', '200'], ['lookup', 'main'])
  return fc
    .tuple(
      fc.constantFrom('add', 'add', 'del', 'flush'),
      fc.oneof(preference, fc.constant([])),
      selector,
      action,
      protocol,
    )
    .map(([verb, at, select, act, by]) =>
      verb === 'flush'
        ? ['rule', 'flush', 'protocol', '107']
        : ['rule', verb, ...at, ...select.flat(), ...(verb === 'add' ? act : []), ...by],
    )
}

/** From whatever is there, the plan reaches what must be; planning again gives nothing; others' rules stay. */
export async function routingPlanReachesDesired(numRuns: number): Promise<void> {
  for (const family of FAMILIES) {
    const ip = (netfilter: FakeNetfilter, ...words: string[]): string =>
      netfilter.run('ip', ...(family === 6 ? ['-6'] : []), ...words)
    await fc.assert(
      fc.asyncProperty(
        fc.array(damage(family), { maxLength: 10 }),
        fc.boolean(),
        async (damages, installedBefore) => {
          const netfilter = createFakeNetfilter()
          const wanted = routingRules(settings, family)
          const plan = (desired = wanted) =>
            planRouting(family, desired, parseRoutingRules(ip(netfilter, '-json', 'rule', 'show')))
          const apply = async (desired?: string[]): Promise<void> => {
            const words = [...(family === 6 ? ['-6'] : []), '-batch', '-']
            const { exitCode, stderr } = await netfilter.runner.run('ip', words, {
              input: batchLines(plan(desired)),
            })
            expect(exitCode, stderr).toBe(0)
          }
          const foreign = (): unknown[] =>
            (JSON.parse(ip(netfilter, '-json', 'rule', 'show')) as { protocol?: string }[]).filter(
              (rule) => rule.protocol !== '107',
            )
          const send = (inInterface: string, source: string) =>
            netfilter.send({ source, destination: METADATA[family], inInterface }).fate
          const untouched = foreign()
          if (installedBefore) await apply()
          for (const each of damages) {
            try {
              ip(netfilter, ...each)
            } catch {
              // Refused as the kernel would: then that did not happen.
            }
          }
          const before = foreign()
          // A deletion takes the first rule that says what it says, and perhaps more: then the next round puts that back.
          for (let round = 0; round < wanted.length && plan().length > 0; round += 1) await apply()
          expect(plan()).toEqual([])
          expect(foreign()).toEqual(before)
          // Others may have put rules ahead of ours, which then decide.
          if (JSON.stringify(before) === JSON.stringify(untouched)) {
            expect(send('cni0', family === 4 ? '10.1.0.7' : 'fd00:1::7')).toBe('dropped')
            expect(send('lo', family === 4 ? '10.0.0.1' : 'fd00:1::1')).toBe('delivered')
          }
          while (plan([]).length > 0) await apply([])
          expect(foreign()).toEqual(before)
        },
      ),
      { numRuns },
    )
  }
}
