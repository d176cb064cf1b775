import { parseCidr, parseIpAddress } from '@kube2iam-ts/core'
import { describe, expect, it } from 'vitest'
import { chooseSources, type NodeNetwork } from './choose-sources.ts'
import { cniFindings } from './cni-config.ts'
import { printSource } from './print.ts'
import { parseHostInterface } from './settings.ts'

const nothing: NodeNetwork = {
  podDevices: new Map(),
  defaultDevices: new Set(['eth0']),
  cni: [],
  links: ['lo', 'eth0'],
  podCidrs: [],
}
const podsOn = (...devices: string[]): NodeNetwork['podDevices'] =>
  new Map(devices.map((device, at) => [parseIpAddress(`10.244.0.${at + 1}`), device]))
const auto = (network: Partial<NodeNetwork>) => {
  const { sources, evidence } = chooseSources({ kind: 'auto' }, { ...nothing, ...network })
  return { sources: sources.map(printSource), evidence: evidence.join('; ') }
}
const cni = (configuration: object) =>
  cniFindings(JSON.stringify(configuration), '/etc/cni/net.d/10-test.conflist')

describe('auto, from the routes to pods', () => {
  it.each([
    ['a bridge', ['cni0', 'cni0'], ['cni0']],
    ['Calico', ['cali12ab', 'cali34cd'], ['cali+']],
    ['the Amazon VPC CNI', ['eni0123', 'vlan4567'], ['eni+', 'vlan+']],
    ['Cilium, whose routes go elsewhere than its packets come from', ['cilium_host'], ['lxc+']],
    ['the ptp plugin', ['veth0a', 'veth0b'], ['veth+']],
    ['names of a network that nobody knows', ['zeta0', 'gamma1'], ['gamma1', 'zeta0']],
    ['very many of those', Array.from({ length: 20 }, (_, at) => `weird${at}`), ['weird+']],
  ])('%s', (_name, devices, expected) => {
    expect(
      auto({ podDevices: podsOn(...devices), cni: cni({ type: 'bridge', bridge: 'other0' }) }).sources,
    ).toEqual(expected)
  })

  it('matches by address range what has no interface of its own', () => {
    const pods = { podDevices: podsOn('cni0', 'eth0') }
    expect(auto({ ...pods, podCidrs: [parseCidr('10.244.0.0/24'), parseCidr('fd00::/64')] })).toEqual({
      sources: ['cni0', '10.244.0.0/24'],
      evidence:
        "the routes to 1 pods of this node go by cni0; 1 pods have no interface of their own on the node, as with macvlan: by pod address range, and only if their packets pass the node's own network stack",
    })
    expect(auto(pods).sources).toEqual(['cni0', 'any interface but lo'])
    expect(chooseSources({ kind: 'auto' }, { ...nothing, ...pods }).podsApart).toBe(1)
  })
})

describe('auto, before there are pods', () => {
  it.each([
    ['bridge', { plugins: [{ type: 'bridge', bridge: 'cbr0' }, { type: 'portmap' }] }, ['cbr0']],
    ['bridge without a name', { type: 'bridge' }, ['cni0']],
    ['ptp', { type: 'ptp' }, ['veth+']],
    ['Calico', { plugins: [{ type: 'calico' }, { type: 'bandwidth' }] }, ['cali+']],
    ['Amazon', { plugins: [{ type: 'aws-cni', vethPrefix: 'eni' }, { type: 'egress-cni' }] }, ['eni+']],
    ['flannel', { plugins: [{ type: 'flannel', delegate: { hairpinMode: true } }] }, ['cni0']],
    ['Multus around Cilium', { type: 'multus', delegates: [{ type: 'cilium-cni' }] }, ['lxc+']],
    ['macvlan', { type: 'macvlan', master: 'eth0' }, ['10.244.0.0/24']],
  ])('from the CNI configuration of %s', (_name, configuration, expected) => {
    const found = auto({ cni: cni(configuration), podCidrs: [parseCidr('10.244.0.0/24')], links: ['weave'] })
    expect(found.sources).toEqual(expected)
    expect(found.evidence).toContain('/etc/cni/net.d/10-test.conflist')
  })

  it('from well-known names', () => {
    expect(auto({ links: ['lo', 'eth0', 'weave', 'vethwe-bridge'] }).sources).toEqual(['weave'])
  })

  it('from the pod address ranges', () => {
    expect(auto({ podCidrs: [parseCidr('10.244.0.0/24')] }).sources).toEqual(['10.244.0.0/24'])
  })

  it('takes everything where nothing is known', () => {
    expect(auto({}).sources).toEqual(['any interface but lo'])
  })
})

it('does not fail on a CNI configuration that is none', () => {
  for (const text of ['', 'null', '[]', '{"plugins": "x"}', '{"type": 7}', '{"plugins": [null]}'])
    expect(cniFindings(text, 'x')).toEqual([])
})

describe('a named interface', () => {
  const warned = (flag: string, network: Partial<NodeNetwork>) =>
    chooseSources(parseHostInterface(flag), { ...nothing, ...network }).warning

  it.each([
    ['docker0', { podDevices: podsOn('cni0') }, 'cni0'],
    ['veth+', { podDevices: podsOn('cni0') }, 'cni0'],
    ['cali+', { podDevices: podsOn('eni123') }, 'eni+'],
    ['!cni0', { podDevices: podsOn('cni0') }, 'cni0'],
    ['docker0', { cni: cni({ type: 'calico' }) }, 'cali+'],
    ['docker0', { links: ['docker0', 'cbr0'] }, 'cbr0'],
  ])('%s is warned about when pods are elsewhere', (flag, network, suggested) => {
    expect(warned(flag, network)).toMatchObject({
      interface: flag,
      suggestion: expect.stringContaining(`--host-interface=${suggested}`),
    })
  })

  it.each([
    ['cni0', { podDevices: podsOn('cni0') }],
    ['cali+', { podDevices: podsOn('cali1') }],
    ['!eth0', { podDevices: podsOn('cni0') }],
    ['cni0', { cni: cni({ type: 'bridge' }) }],
    ['docker0', {}],
  ])('%s is taken as it is when pods are there, or nothing is known', (flag, network) => {
    expect(warned(flag, network)).toBeUndefined()
  })
})
