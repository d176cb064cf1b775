import { parseIpAddress } from '@kube2iam-ts/core'
import { describe, expect, it } from 'vitest'
import {
  batchLines,
  concernsRouting,
  parseRoutingRules,
  parseRulesAhead,
  planRouting,
  routingRules,
} from './routing-rules.ts'
import type { CaptureSettings } from './settings.ts'

const settings: CaptureSettings = {
  instance: 'agent-1',
  hostIps: [parseIpAddress('10.0.0.1')],
  appPort: 8181,
}

it('lets the node itself past what stops everybody else, for every intercepted address', () => {
  expect(routingRules(settings, 4)).toEqual([
    'pref 8 to 169.254.169.254 nop',
    'pref 6 to 169.254.169.254 iif lo goto 8',
    'pref 7 to 169.254.169.254 blackhole',
  ])
  expect(routingRules(settings, 6)[2]).toBe('pref 7 to fd00:ec2::254 blackhole')
  expect(routingRules({ ...settings, containerCredentials: true }, 4)).toHaveLength(9)
})

it('is not wanted where it is switched off, nor where others than pods are not to be guarded', () => {
  expect(routingRules({ ...settings, guardRouting: false }, 4)).toEqual([])
  expect(routingRules({ ...settings, guard: 'pods' }, 4)).toEqual([])
})

describe('plan', () => {
  it('closes before it opens, and takes the block away before what leads the node past it', () => {
    const old = routingRules({ ...settings, metadataAddresses: [parseIpAddress('10.8.0.9')] }, 4)
    expect(planRouting(4, routingRules(settings, 4), old).map(({ op, rule }) => `${op} ${rule}`)).toEqual([
      'add-routing-rule pref 8 to 169.254.169.254 nop',
      'add-routing-rule pref 6 to 169.254.169.254 iif lo goto 8',
      'add-routing-rule pref 7 to 169.254.169.254 blackhole',
      'delete-routing-rule pref 7 to 10.8.0.9 blackhole',
      'delete-routing-rule pref 8 to 10.8.0.9 nop',
      'delete-routing-rule pref 6 to 10.8.0.9 iif lo goto 8',
    ])
  })

  it('is empty when everything is there, in any order', () => {
    const rules = routingRules(settings, 6)
    expect(planRouting(6, rules, rules.toReversed())).toEqual([])
  })
})

it('reads of what ip prints the rules of ours, and all that they say', () => {
  // iproute2 6.1, `ip -json rule show`, with a rule that somebody made under our number.
  const printed = `[{"priority":0,"src":"all","table":"local"},{"priority":6,"src":"all","dst":"169.254.169.254","iif":"lo","goto":8,"protocol":"107"},
{"priority":7,"src":"all","dst":"169.254.169.254","action":"blackhole","protocol":"107"},{"priority":7,"src":"all","dst":"169.254.169.254","action":"blackhole","protocol":"static"},
{"priority":8,"src":"all","dst":"169.254.169.254","nop":null,"protocol":"107"},{"not":null,"priority":9,"src":"10.0.0.0","srclen":8,"fwmark":"0x80","fwmask":"0x80","oif":"eth0","table":"main","protocol":"107"},
{"priority":32766,"src":"all","table":"main"}]`
  expect(parseRoutingRules(printed)).toEqual([
    'pref 6 to 169.254.169.254 iif lo goto 8',
    'pref 7 to 169.254.169.254 blackhole',
    'pref 8 to 169.254.169.254 nop',
    'not pref 9 from 10.0.0.0/8 fwmark 0x80/0x80 oif eth0 lookup main',
  ])
  expect(parseRoutingRules('')).toEqual([])
})

it('names the rules of others that a pod’s packet meets first', () => {
  const printed = JSON.stringify([
    { priority: 0, src: 'all', table: 'local' },
    { priority: 1, src: 'all', fwmark: '0xe00', fwmask: '0xf00', table: '201' },
    { priority: 5, src: '10.0.0.0', srclen: 8, table: '77' },
    { priority: 6, src: 'all', dst: '169.254.169.254', iif: 'lo', goto: 8, protocol: '107' },
    { priority: 10, src: 'all', iif: 'vlan1', table: '101' },
  ])
  expect(parseRulesAhead(printed)).toEqual(['pref 5 from 10.0.0.0/8 lookup 77'])
})

it('tells ip whose rules they are, both ways', () => {
  expect(batchLines(planRouting(4, ['pref 8 to 10.8.0.9 nop'], ['pref 7 to 10.8.0.9 blackhole']))).toBe(
    'rule add pref 8 to 10.8.0.9 nop protocol 107\nrule del pref 7 to 10.8.0.9 blackhole protocol 107\n',
  )
})

it('looks at changes in its own places and at no others', () => {
  expect(concernsRouting('Deleted 7:\tfrom all to 169.254.169.254 blackhole proto 107')).toBe(true)
  expect(concernsRouting('7:\tfrom all to 169.254.169.254 blackhole proto 107')).toBe(true)
  expect(concernsRouting('Deleted 512:\tfrom all to 10.1.7.7 lookup main')).toBe(false)
  expect(concernsRouting('76:\tfrom all lookup main')).toBe(false)
})
