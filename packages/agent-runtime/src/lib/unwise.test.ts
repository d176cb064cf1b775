import { describe, expect, test } from 'vitest'
import { explainProblems } from './settings/problem.ts'
import { parseSettings } from './settings/settings.ts'
import { unwiseSettings } from './unwise.ts'

const WISE = [
  '--node=node-1',
  '--host-ip=10.0.3.17',
  '--metrics-port=9543',
  '--namespace-restrictions=enforce',
]

function unwise(...args: string[]): string[] {
  const parsed = parseSettings({ args: [...WISE, ...args] })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  return unwiseSettings(parsed.settings).map(({ setting }) => setting)
}

function refusal(...args: string[]): string {
  const parsed = parseSettings({ args: [...WISE, ...args] })
  return parsed.kind === 'invalid' ? explainProblems(parsed.problems) : parsed.kind
}

test('wise settings are not commented on', () => {
  expect(unwise()).toEqual([])
})

describe('what is said once at start', () => {
  test.each([
    [['--allow-cidr=0.0.0.0/0'], '--allow-cidr'],
    [['--allow-cidr=::/0'], '--allow-cidr'],
    [['--pod-wait=30s'], '--pod-wait'],
    [['--backoff-max-elapsed-time=30s'], '--pod-wait'],
    [['--api-server=http://10.0.0.1:8080', '--api-token=t'], '--api-server'],
    [['--api-server=http://10.0.0.1:8080', '--api-token-file=/t'], '--api-server'],
    [['--sts-endpoint=http://10.0.0.9'], '--sts-endpoint'],
    [['--relist-interval=1m'], '--relist-interval'],
    [['--iptables', '--bind-address=127.0.0.1'], '--bind-address'],
    [['--iptables', '--host-ip=fd00::1', '--bind-address=10.0.3.17'], '--bind-address'],
    [['--iptables', '--host-ip=fd00::1', '--bind-address=0.0.0.0'], '--bind-address'],
  ])('%j', (args, setting) => {
    expect(unwise(...args)).toEqual([setting])
  })

  test.each([
    [['--allow-cidr=10.0.0.0/8']],
    [['--backoff-max-elapsed-time=2s']],
    [['--api-server=http://127.0.0.1:8001']],
    [['--api-server=http://localhost:8001', '--api-token=t']],
    [['--api-server=https://10.0.0.1:6443', '--api-token=t']],
    [['--sts-endpoint=http://127.0.0.1:4566']],
    [['--sts-endpoint=http://[::1]:4566']],
    [['--sts-endpoint=https://sts.eu-central-1.amazonaws.com']],
    [['--relist-interval=30m']],
    [['--iptables', '--bind-address=0.0.0.0']],
    [['--iptables', '--host-ip=fd00::1']],
    [['--iptables', '--host-ip=fd00::1', '--bind-address=::']],
    [['--iptables', '--host-ip=fd00::1', '--bind-address=10.0.3.17,fd00:0::1']],
  ])('nothing of %j', (args) => {
    expect(unwise(...args)).toEqual([])
  })
})

test('everything of the node for everybody is refused', () => {
  expect(refusal('--allow-cidr=10.0.0.0/8,0.0.0.0/0', '--metadata-allow=kube2iam')).toBe(
    '--allow-cidr holds every address, and --metadata-allow=kube2iam everything that the node can read: give the ranges that are meant, or name what may be read',
  )
  expect(refusal('--allow-cidr=10.0.0.0/8', '--metadata-allow=kube2iam')).toBe('settings')
})
