import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRule, parseSave, ruleArgs, ruleLine, tokenize } from './iptables-syntax.ts'
import { type Rule, ruleText } from './rule.ts'

describe('parseRule', () => {
  it('reads a redirect as iptables prints it', () => {
    expect(
      parseRule(
        '-s 10.0.0.0/8 -d 169.254.169.254/32 ! -i eth0 -p tcp -m tcp --dport 80 -m comment --comment "kube2iam-ts:a:1:redirect" -c 7 420 -j DNAT --to-destination 10.0.0.1:8181',
      ),
    ).toEqual({
      source: '10.0.0.0/8',
      destination: '169.254.169.254',
      inInterface: { name: 'eth0', negated: true },
      protocol: 'tcp',
      destinationPort: 80,
      comment: 'kube2iam-ts:a:1:redirect',
      target: { kind: 'dnat', address: '10.0.0.1', port: 8181 },
      raw: '-s 10.0.0.0/8 -d 169.254.169.254/32 ! -i eth0 -p tcp -m tcp --dport 80 -m comment --comment "kube2iam-ts:a:1:redirect" -j DNAT --to-destination 10.0.0.1:8181',
      packets: 7,
      bytes: 420,
    })
  })

  it.each([
    '-m addrtype --dst-type LOCAL -j DOCKER',
    '-d 169.254.169.254/32 -p tcp -m multiport --dports 80,443 -j DROP',
    '! -d 169.254.169.254/32 -j RETURN',
    '-p tcp -m tcp --dport 80:90 -j ACCEPT',
    '-j DNAT --to-destination 10.0.0.1:8181 --random',
    '-m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-g KUBE-SERVICES',
    '-j REJECT --reject-with icmp-port-unreachable',
  ])('keeps what it does not know in mind: %s', (text) => {
    expect(parseRule(text).other).toBeDefined()
    expect(parseRule(text).raw).toBe(text)
  })
})

it('reads chains with and without rules', () => {
  const chains = parseSave(
    '-P PREROUTING ACCEPT -c 3 180\n-N KUBE2IAM-REDIRECT\n-A PREROUTING -c 1 60 -j KUBE2IAM-REDIRECT\n',
  )
  expect([...chains.keys()]).toEqual(['PREROUTING', 'KUBE2IAM-REDIRECT'])
  expect(chains.get('PREROUTING')).toMatchObject([
    { target: { kind: 'jump', chain: 'KUBE2IAM-REDIRECT' }, packets: 1 },
  ])
})

it('splits words as iptables-restore does', () => {
  expect(tokenize('--comment "it said \\"no\\", twice" -j DROP')).toEqual([
    '--comment',
    'it said "no", twice',
    '-j',
    'DROP',
  ])
})

const anyRule: fc.Arbitrary<Rule> = fc.record(
  {
    source: fc.constantFrom('10.0.0.0/8', '10.1.2.3'),
    destination: fc.constantFrom('169.254.169.254', '169.254.0.0/16'),
    inInterface: fc.record({ name: fc.constantFrom('cni0', 'cali+', 'eth0.100'), negated: fc.boolean() }),
    protocol: fc.constant('tcp'),
    destinationPort: fc.integer({ min: 1, max: 65_535 }),
    comment: fc
      .string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 })
      .filter((text) => !/[\n\r\0]/.test(text)),
    target: fc.oneof(
      fc.constantFrom<Rule['target']>({ kind: 'accept' }, { kind: 'drop' }, { kind: 'return' }),
      fc.constantFrom<Rule['target']>({ kind: 'jump', chain: 'KUBE2IAM-GUARD' }),
      fc
        .integer({ min: 1, max: 65_535 })
        .map((port): Rule['target'] => ({ kind: 'dnat', address: 'fd00::1', port })),
    ),
  },
  { requiredKeys: ['target', 'protocol'] },
)

it('reads back every rule that it writes', () => {
  fc.assert(
    fc.property(anyRule, (rule) => {
      expect(ruleText(parseRule(ruleLine(rule)))).toBe(ruleText(rule))
      expect(tokenize(ruleLine(rule))).toEqual(ruleArgs(rule))
    }),
    { numRuns: 500 },
  )
})
