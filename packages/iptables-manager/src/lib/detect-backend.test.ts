import { describe, expect, it } from 'vitest'
import { detectBackend } from './detect-backend.ts'
import { createFakeNetfilter, type FakeNetfilter } from './fake-netfilter.ts'
import { kubeProxyRules } from './kube-proxy-rules.ts'
import type { BackendName } from './settings.ts'

const detect = async ({ runner, files }: FakeNetfilter, wanted: BackendName | 'auto' = 'auto') => {
  const { backend, evidence, others } = await detectBackend({ runner, files, wanted })
  return { name: backend.name, evidence, others: others.map(({ name }) => name) }
}

describe('auto', () => {
  it('takes what holds the rules of the node’s network', async () => {
    const nft = createFakeNetfilter()
    nft.restore('iptables-nft-restore', kubeProxyRules(3))
    expect(await detect(nft)).toMatchObject({
      name: 'iptables-nft',
      evidence: '13 chains such as KUBE-SERVICES are in iptables-nft',
    })

    const legacy = createFakeNetfilter()
    legacy.restore('iptables-legacy-restore', kubeProxyRules(3))
    legacy.run('iptables-nft', '-t', 'nat', '-N', 'KUBE-KUBELET-CANARY')
    expect(await detect(legacy)).toMatchObject({ name: 'iptables-legacy' })
  })

  it('takes nftables where kube-proxy does', async () => {
    const netfilter = createFakeNetfilter()
    netfilter.run('nft', '-j', '{"nftables":[{"add":{"table":{"family":"ip","name":"kube-proxy"}}}]}')
    expect(await detect(netfilter)).toMatchObject({
      name: 'nft',
      evidence: 'kube-proxy keeps its rules in nftables',
    })
  })

  it('takes iptables-nft on a node without rules, and asks nothing of the legacy tables, which that would load', async () => {
    const netfilter = createFakeNetfilter()
    expect(await detect(netfilter)).toEqual({
      name: 'iptables-nft',
      evidence: 'the node has no rules yet',
      others: [],
    })
    const asked = netfilter.calls.filter(([file = '']) => file.includes('legacy'))
    expect(asked.every((argv) => argv.includes('--version'))).toBe(true)
  })

  it.each([
    [['nft'], 'nft'],
    [['iptables-legacy', 'iptables-legacy-save', 'iptables-legacy-restore'], 'iptables-legacy'],
    [
      ['iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore'],
      'iptables-nft',
    ],
  ])('makes do with %j', async (programs, name) => {
    expect(await detect(createFakeNetfilter({ programs }))).toMatchObject({ name })
  })
})

it('takes what was asked for', async () => {
  const netfilter = createFakeNetfilter()
  netfilter.restore('iptables-nft-restore', kubeProxyRules(1))
  expect(await detect(netfilter, 'nft')).toMatchObject({ name: 'nft', others: ['iptables-nft'] })
})

it('names what is missing', async () => {
  const none = createFakeNetfilter({ programs: ['ip'] })
  await expect(detect(none)).rejects.toMatchObject({
    code: 'IPTABLES_MISSING',
    message: expect.stringContaining('add the package'),
  })
  const other = createFakeNetfilter({ programs: ['nft'] })
  await expect(detect(other, 'iptables-legacy')).rejects.toMatchObject({
    code: 'IPTABLES_MISSING',
    message: expect.stringContaining('there is nft'),
  })
})
