import { parseIpAddress } from '@kube2iam-ts/core'
import { expect, it } from 'vitest'
import { createFakeNetfilter } from './fake-netfilter.ts'
import { checkNode, type NodeCheckOptions } from './node-checks.ts'

const check = async (options: Partial<NodeCheckOptions>, files: Record<string, string> = {}) => {
  const findings = await checkNode({
    files: createFakeNetfilter({ files }).files,
    hostIps: [parseIpAddress('10.0.0.1')],
    sources: [{ kind: 'interface', match: { name: 'cali+', negated: false } }],
    links: ['lo', 'eth0', 'cali1'],
    leftovers: [],
    routing: { families: { 4: 'in-place', 6: 'in-place' } },
    ahead: [],
    ...options,
  })
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]))
}
const conf = (device: string, name: string): string => `/proc/sys/net/ipv4/conf/${device}/${name}`

it('asks for route_localnet only where the agent is behind a loopback address', async () => {
  const hostIps = [parseIpAddress('127.0.0.1')]
  expect((await check({}))['route-localnet']).toMatchObject({ severity: 'ok' })
  expect((await check({ hostIps }))['route-localnet']).toMatchObject({
    severity: 'error',
    remedy: expect.stringContaining('--host-ip'),
  })
  expect(
    (await check({ hostIps }, { [conf('cali1', 'route_localnet')]: '1\n' }))['route-localnet'],
  ).toMatchObject({ severity: 'ok' })
})

it('warns where a pod may take another’s address', async () => {
  expect(
    (await check({}, { [conf('all', 'rp_filter')]: '0\n', [conf('cali1', 'rp_filter')]: '0\n' }))[
      'rp-filter'
    ],
  ).toMatchObject({
    severity: 'warning',
    message: expect.stringContaining('cali1 accepts'),
  })
  expect((await check({}, { [conf('cali1', 'rp_filter')]: '1\n' }))['rp-filter']).toMatchObject({
    severity: 'ok',
  })
})

it('warns of Cilium, whose data path may pass netfilter by', async () => {
  expect((await check({ links: ['cilium_host'] }))['ebpf-routing']).toMatchObject({ severity: 'warning' })
})

it('lists the rules of other agents with the way to be rid of them', async () => {
  const leftover = {
    backend: 'iptables-nft',
    table: 'ip/nat',
    chain: 'PREROUTING',
    raw: '…',
    leadsTo: '10.0.0.9:8181',
  } as const
  expect((await check({ leftovers: [leftover] })).leftovers).toMatchObject({
    severity: 'warning',
    message: '1 rule of kube2iam or kiam is there, leading to 10.0.0.9:8181',
    remedy: expect.stringContaining('--also-kube2iam'),
  })
})

it('tells what the guard in the routing policy is worth', async () => {
  const guard = async (options: Partial<NodeCheckOptions>) => (await check(options))['routing-guard']
  expect(await guard({})).toMatchObject({ severity: 'ok' })
  expect(await guard({ routing: { families: { 4: 'off', 6: 'off' } } })).toMatchObject({ severity: 'ok' })
  expect(await guard({ routing: { families: { 4: 'in-place', 6: 'missing' } } })).toMatchObject({
    severity: 'warning',
  })
  expect(
    await guard({ routing: { families: { 4: 'unavailable', 6: 'absent' }, reason: 'ip is not installed' } }),
  ).toMatchObject({ severity: 'warning', message: expect.stringContaining('ip is not installed') })
  expect(await guard({ ahead: ['pref 5 from 10.0.0.0/8 lookup 77'] })).toMatchObject({
    severity: 'warning',
    message: expect.stringContaining('pref 5 from 10.0.0.0/8 lookup 77'),
    remedy: expect.stringContaining('above 8'),
  })
})
