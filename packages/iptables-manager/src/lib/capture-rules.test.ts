import { parseIpAddress } from '@kube2iam-ts/core'
import { expect, it } from 'vitest'
import { type CaptureSource, captureRules } from './capture-rules.ts'
import { ruleLine } from './iptables-syntax.ts'

const owner = { instance: 'a', startedAt: 35 }
const rules = (sources: readonly CaptureSource[], hostIps = ['10.0.0.1', 'fd00::1']) => {
  const capture = captureRules({
    settings: { instance: 'a', hostIps: hostIps.map(parseIpAddress), appPort: 8181 },
    owner,
    sources,
    nat: { 4: true, 6: true },
  })
  const lines = (list: readonly Parameters<typeof ruleLine>[0][]) =>
    list.map((rule) => ruleLine(rule).replace(/ -m comment --comment \S+/, ''))
  return {
    v4: lines(capture[4].redirect),
    v6: lines(capture[6].redirect),
    guard4: lines(capture[4].guard),
    guard6: lines(capture[6].guard),
  }
}

it('redirects from where pods are and drops the rest, but for the node itself', () => {
  expect(rules([{ kind: 'interface', match: { name: 'cali+', negated: false } }])).toEqual({
    v4: [
      '-i lo -j RETURN',
      '-d 169.254.169.254 -i cali+ -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8181',
    ],
    v6: [
      '-i lo -j RETURN',
      '-d fd00:ec2::254 -i cali+ -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::1]:8181',
    ],
    guard4: ['-i lo -j RETURN', '-d 169.254.169.254 -j DROP'],
    guard6: ['-i lo -j RETURN', '-d fd00:ec2::254 -j DROP'],
  })
})

it('uses an address range in its own family, and knows nothing better than any interface for the other', () => {
  const { v4, v6 } = rules([{ kind: 'cidr', cidr: '10.244.0.0/24' }])
  expect(v4[1]).toMatch(/^-s 10\.244\.0\.0\/24 -d 169/)
  expect(v6[1]).toMatch(/^-d fd00/)
})

it('only guards a family in which the agent has no address', () => {
  const { v6, guard6 } = rules([{ kind: 'any' }], ['10.0.0.1'])
  expect(v6).toEqual([])
  expect(guard6).toContain('-d fd00:ec2::254 -j DROP')
})
