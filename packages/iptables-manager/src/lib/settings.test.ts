import { parseIpAddress } from '@kube2iam-ts/core'
import { describe, expect, it } from 'vitest'
import { type CaptureSettings, checkSettings, endpointsOf, parseHostInterface } from './settings.ts'

describe('parseHostInterface', () => {
  it.each(['', 'auto'])('takes "%s" as auto', (text) => {
    expect(parseHostInterface(text)).toEqual({ kind: 'auto' })
  })

  it.each([
    ['docker0', [{ name: 'docker0', negated: false }]],
    ['cali+', [{ name: 'cali+', negated: false }]],
    ['!eth0', [{ name: 'eth0', negated: true }]],
    [
      'eni+,vlan+',
      [
        { name: 'eni+', negated: false },
        { name: 'vlan+', negated: false },
      ],
    ],
  ])('takes %s', (text, matches) => {
    expect(parseHostInterface(text)).toEqual({ kind: 'named', matches })
  })

  it.each([
    'a-name-too-long0',
    'eth 0',
    'ca+li',
    'eth/0',
    'eth0; reboot',
    '!',
    'eth0,',
    '!eth0,!eth1',
    'cali+,!eth0',
    'eth0:1',
  ])('refuses "%s" and says what is right', (text) => {
    expect(() => parseHostInterface(text)).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALID' }))
  })
})

const settings: CaptureSettings = { instance: 'agent', hostIps: [parseIpAddress('10.0.0.1')], appPort: 8181 }

it.each<[string, Partial<CaptureSettings>]>([
  ['no host address', { hostIps: [] }],
  ['two of a family', { hostIps: [parseIpAddress('10.0.0.1'), parseIpAddress('10.0.0.2')] }],
  ['port 0', { appPort: 0 }],
  ['port 70000', { appPort: 70_000 }],
  ['an instance that would not fit a comment', { instance: 'x"; -j ACCEPT' }],
  ['the metadata address as the agent’s own', { hostIps: [parseIpAddress('169.254.169.254')] }],
])('refuses %s', (_what, change) => {
  expect(() => checkSettings({ ...settings, ...change })).toThrow(
    expect.objectContaining({ code: 'CAPTURE_INVALID' }),
  )
})

it('intercepts each address once, whoever names it', () => {
  const all = endpointsOf({
    ...settings,
    containerCredentials: true,
    extraEndpoints: [
      { address: parseIpAddress('169.254.170.2'), action: 'drop' },
      { address: parseIpAddress('169.254.171.1'), port: 8080, action: 'drop' },
    ],
  })
  expect(all.map(({ address, port, action }) => `${address} ${port} ${action}`)).toEqual([
    '169.254.169.254 80 redirect',
    'fd00:ec2::254 80 redirect',
    '169.254.170.2 80 redirect',
    '169.254.170.23 80 redirect',
    'fd00:ec2::23 80 redirect',
    '169.254.171.1 8080 drop',
  ])
})

it('needs no host address to remove what is there', () => {
  expect(() => checkSettings({ ...settings, hostIps: [] }, 'removal')).not.toThrow()
})
