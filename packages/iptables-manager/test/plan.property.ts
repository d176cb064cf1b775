import { parseIpAddress } from '@kube2iam-ts/core'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { NetfilterBackend } from '../src/lib/backend.ts'
import { captureRules } from '../src/lib/capture-rules.ts'
import { createIptablesBackend } from '../src/lib/iptables-backend.ts'
import { createNftBackend } from '../src/lib/nft-backend.ts'
import { emptied, plan, planRemoval } from '../src/lib/plan.ts'
import { type Owner, ownComment } from '../src/lib/rule.ts'
import type { CaptureSettings } from '../src/lib/settings.ts'
import { createFakeNetfilter, type FakeNetfilter } from '../src/testing.ts'

const OWNER: Owner = { instance: 'me', startedAt: 1_000_000 }
const EARLIER: Owner = { instance: 'earlier', startedAt: 999_000 }
const LATER: Owner = { instance: 'later', startedAt: 1_001_000 }

const settings: CaptureSettings = {
  instance: 'me',
  hostIps: [parseIpAddress('10.0.0.1'), parseIpAddress('fd00:10::1')],
  appPort: 8181,
  containerCredentials: true,
}

const FAMILIES = { 4: { available: true, nat: true }, 6: { available: true, nat: true } } as const

/** Anything that somebody, or another version of us, may have done to the tables that we share. */
const iptablesDamage = (kind: 'nft' | 'legacy'): fc.Arbitrary<readonly string[]> => {
  const own = fc.constantFrom('KUBE2IAM-REDIRECT', 'KUBE2IAM-GUARD')
  const chain = fc.oneof(own, fc.constantFrom('PREROUTING', 'FORWARD', 'INPUT', 'KUBE-SERVICES'))
  const writer = fc.constantFrom(OWNER, EARLIER, LATER)
  const comment = fc.oneof(
    fc
      .tuple(writer, fc.constantFrom('jump', 'redirect', 'guard', 'own'))
      .map(([owner, what]) => ['-m', 'comment', '--comment', ownComment(owner, what)]),
    fc.constant(['-m', 'comment', '--comment', 'somebody "else"']),
    fc.constant([]),
  )
  const match = fc.subarray(
    [
      ['-d', '169.254.0.0/16'],
      ['-d', '169.254.169.254/32'],
      ['-s', '10.0.0.0/8'],
      ['-i', 'cali+'],
      ['-i', 'lo'],
      ['-p', 'tcp'],
    ],
    {
      maxLength: 2,
    },
  )
  const target = fc.oneof(
    own.map((name) => ['-j', name]),
    fc.constantFrom(['-j', 'ACCEPT'], ['-j', 'DROP'], ['-j', 'RETURN'], ['-j', 'KUBE-SERVICES']),
    fc.constant(['-j', 'DNAT', '--to-destination', '10.0.0.2:9999']),
  )
  const rule = fc
    .tuple(match, comment, target)
    .map(([matches, said, to]) => [...matches.flat(), ...said, ...to])
  const verb = fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom('-A', '-I'), chain, rule)
        .map(([add, to, words]) => [add, to, ...words]),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(chain, fc.integer({ min: 1, max: 4 }))
        .map(([from, at]) => ['-D', from, String(at)]),
    },
    { weight: 1, arbitrary: chain.map((name) => ['-F', name]) },
    { weight: 1, arbitrary: chain.map((name) => ['-N', name]) },
    { weight: 1, arbitrary: chain.map((name) => ['-X', name]) },
    { weight: 1, arbitrary: fc.constant(['-F']) },
  )
  return fc
    .tuple(fc.constantFrom('iptables', 'ip6tables'), fc.constantFrom('nat', 'mangle'), verb)
    .map(([base, table, words]) => [`${base}-${kind}`, '-t', table, ...words])
}

const nftDamage: fc.Arbitrary<readonly string[]> = fc
  .oneof(
    fc.constant(['delete', 'table', 'inet', 'kube2iam']),
    fc
      .record({
        verb: fc.constantFrom('flush', 'delete'),
        name: fc.constantFrom('redirect', 'guard-forward', 'guard-input', 'stray'),
      })
      .map(({ verb, name }) => [
        '-j',
        JSON.stringify({ nftables: [{ [verb]: { chain: { family: 'inet', table: 'kube2iam', name } } }] }),
      ]),
    fc
      .record({
        name: fc.constantFrom('redirect', 'guard-forward', 'guard-input', 'stray'),
        type: fc.constantFrom('nat', 'filter'),
        hook: fc.constantFrom('prerouting', 'input', 'forward'),
        prio: fc.constantFrom(-110, -150, 0),
      })
      .map((chain) => [
        '-j',
        JSON.stringify({
          nftables: [
            { add: { table: { family: 'inet', name: 'kube2iam' } } },
            { add: { chain: { family: 'inet', table: 'kube2iam', ...chain } } },
          ],
        }),
      ]),
    fc
      .record({
        chain: fc.constantFrom('redirect', 'guard-forward', 'guard-input'),
        comment: fc.constantFrom(ownComment(EARLIER, 'guard'), ownComment(LATER, 'redirect'), 'x'),
        expr: fc.constantFrom(
          [{ accept: null }],
          [{ counter: { packets: 0, bytes: 0 } }, { drop: null }],
          [{ log: null }],
        ),
      })
      .map((rule) => [
        '-j',
        JSON.stringify({ nftables: [{ add: { rule: { family: 'inet', table: 'kube2iam', ...rule } } }] }),
      ]),
  )
  .map((words) => ['nft', ...words])

const anyway = (netfilter: FakeNetfilter, [file = '', ...args]: readonly string[]): void => {
  try {
    netfilter.run(file, ...args)
  } catch {
    // Refused as the kernel would: then that did not happen.
  }
}

const foreignRules = (netfilter: FakeNetfilter, kind: string): string[] =>
  [`iptables-${kind}-save`, `ip6tables-${kind}-save`]
    .flatMap((file) => netfilter.run(file).split('\n'))
    .filter((line) => line.startsWith('-A') && !line.includes('KUBE2IAM-'))

/** From whatever is there, applying the plan reaches what must be; planning again gives nothing; foreign rules stay. */
export async function planReachesDesired(numRuns: number): Promise<void> {
  for (const name of ['iptables-nft', 'iptables-legacy', 'nft'] as const) {
    const kind = name === 'iptables-legacy' ? 'legacy' : 'nft'
    const damage = name === 'nft' ? nftDamage : iptablesDamage(kind)
    await fc.assert(
      fc.asyncProperty(
        fc.array(damage, { maxLength: 12 }),
        fc.boolean(),
        async (damages, installedBefore) => {
          const netfilter = createFakeNetfilter()
          const backend = backendOn(netfilter, name)
          const tables = backend.tables({
            capture: captureRules({
              settings,
              owner: OWNER,
              sources: [{ kind: 'any' }],
              nat: { 4: true, 6: true },
            }),
            owner: OWNER,
            mode: 'redirect',
            families: FAMILIES,
          })
          const step = async (): Promise<boolean> => {
            const { steps } = plan(tables, await backend.observe(tables), OWNER)
            await backend.apply(steps)
            return steps.length > 0
          }
          if (name !== 'nft')
            for (const base of ['iptables', 'ip6tables'])
              for (const table of ['nat', 'mangle'])
                anyway(netfilter, [`${base}-${kind}`, '-t', table, '-N', 'KUBE-SERVICES'])
          if (installedBefore) await step()
          for (const each of damages) anyway(netfilter, each)
          const foreign = foreignRules(netfilter, kind)
          await step()
          const again = plan(tables, await backend.observe(tables), OWNER)
          expect(again.steps).toEqual([])
          expect(foreignRules(netfilter, kind)).toEqual(foreign)
          if (again.yieldedTo === undefined) {
            const ask = { source: '10.1.0.7', inInterface: 'cni0' }
            // A foreign DROP may stop it on its way to the agent; nobody may lead it elsewhere.
            for (const [destination, agent] of [
              ['169.254.169.254', '10.0.0.1'],
              ['fd00:ec2::254', 'fd00:10::1'],
            ] as const) {
              const answer = netfilter.send({ ...ask, destination })
              if (answer.fate !== 'dropped')
                expect(answer).toEqual({ fate: 'redirected', address: agent, port: 8181 })
            }
            // A foreign rule may lead it elsewhere; where it was sent to, it never arrives.
            const { fate } = netfilter.send({ ...ask, destination: '169.254.169.254', protocol: 'udp' })
            expect(fate).not.toBe('delivered')
          }
          await backend.apply(planRemoval(tables, await backend.observe(emptied(tables)), OWNER))
          expect(planRemoval(tables, await backend.observe(emptied(tables)), OWNER)).toEqual([])
          expect(foreignRules(netfilter, kind)).toEqual(foreign)
        },
      ),
      { numRuns },
    )
  }
}

function backendOn(
  { runner }: FakeNetfilter,
  name: 'iptables-nft' | 'iptables-legacy' | 'nft',
): NetfilterBackend {
  if (name === 'nft') return createNftBackend({ runner })
  const programs = (base: string) => ({
    iptables: `${base}-${name.slice(9)}`,
    restore: `${base}-${name.slice(9)}-restore`,
  })
  return createIptablesBackend({
    name,
    runner,
    programs: { 4: programs('iptables'), 6: programs('ip6tables') },
  })
}
