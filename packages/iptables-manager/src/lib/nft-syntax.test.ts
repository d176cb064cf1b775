import { expect, it } from 'vitest'
import { nftCommands, parseNftTable } from './nft-syntax.ts'
import type { Rule } from './rule.ts'
import { ruleText } from './rule.ts'

/** Printed by nft 1.0.6 for `nft -j list table inet kube2iam`. */
const LISTED =
  '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, {"table": {"family": "inet", "name": "kube2iam", "handle": 2}}, {"chain": {"family": "inet", "table": "kube2iam", "name": "redirect", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -110, "policy": "accept"}}, {"chain": {"family": "inet", "table": "kube2iam", "name": "guard-forward", "handle": 2, "type": "filter", "hook": "forward", "prio": -150, "policy": "accept"}}, {"rule": {"family": "inet", "table": "kube2iam", "chain": "redirect", "handle": 3, "comment": "kube2iam:abc x", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "cali*"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "169.254.169.254"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, {"counter": {"packets": 4, "bytes": 240}}, {"dnat": {"family": "ip", "addr": "10.0.0.1", "port": 8181}}]}}, {"rule": {"family": "inet", "table": "kube2iam", "chain": "redirect", "handle": 4, "comment": "kube2iam:abc x", "expr": [{"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "daddr"}}, "right": "fd00:ec2::254"}}, {"counter": {"packets": 0, "bytes": 0}}, {"drop": null}]}}]}'

it('reads what nft prints', () => {
  const chains = parseNftTable(LISTED)
  expect(chains.get('redirect')?.base).toEqual({ type: 'nat', hook: 'prerouting', priority: -110 })
  expect(chains.get('redirect')?.rules).toEqual([
    {
      inInterface: { name: 'cali+', negated: false },
      source: '10.0.0.0/8',
      destination: '169.254.169.254',
      protocol: 'tcp',
      destinationPort: 80,
      comment: 'kube2iam:abc x',
      target: { kind: 'dnat', address: '10.0.0.1', port: 8181 },
      raw: '3',
      packets: 4,
      bytes: 240,
    },
    {
      inInterface: { name: 'lo', negated: true },
      destination: 'fd00:ec2::254',
      comment: 'kube2iam:abc x',
      target: { kind: 'drop' },
      raw: '4',
      packets: 0,
      bytes: 0,
    },
  ])
  expect(chains.get('guard-forward')?.rules).toEqual([])
})

it('keeps expressions that it does not know in mind', () => {
  const text = LISTED.replace('{"drop": null}', '{"reject": null}')
  expect(parseNftTable(text).get('redirect')?.rules[1]).toMatchObject({
    other: '{"reject":null}',
    target: { kind: 'other' },
  })
})

it('writes expressions that read back as the same rule', () => {
  const rule: Rule = {
    inInterface: { name: 'eth0', negated: true },
    source: 'fd00:10::/48',
    destination: 'fd00:ec2::254',
    protocol: 'tcp',
    destinationPort: 80,
    comment: 'kube2iam-ts:a:1:redirect',
    target: { kind: 'dnat', address: 'fd00::1', port: 8181 },
  }
  const { nftables } = nftCommands([{ op: 'insert-rule', table: 'inet/kube2iam', chain: 'redirect', rule }])
  const added = (nftables[0] as { add: { rule: object } }).add.rule
  const listed = JSON.stringify({
    nftables: [{ chain: { name: 'redirect' } }, { rule: { ...added, handle: 9 } }],
  })
  expect(ruleText(parseNftTable(listed).get('redirect')?.rules[0] ?? rule)).toBe(ruleText(rule))
})
