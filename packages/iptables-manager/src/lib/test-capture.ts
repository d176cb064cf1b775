import { parseIpAddress } from '@kube2iam-ts/core'
import {
  collectReports,
  createFakeClock,
  createSeededRandom,
  type FakeClock,
} from '@kube2iam-ts/core/testing'
import { type CaptureManager, createCaptureManager } from './capture-manager.ts'
import type { CaptureEvent } from './events.ts'
import { createFakeNetfilter, type FakeNetfilter, type FakeNetfilterOptions } from './fake-netfilter.ts'
import { type CaptureSettings, parseHostInterface } from './settings.ts'

/** The first packet of a pod's connection to the metadata service, by each family. */
export const ask = { source: '10.1.0.7', destination: '169.254.169.254', inInterface: 'cni0' }
export const ask6 = { source: 'fd00:1::7', destination: 'fd00:ec2::254', inInterface: 'cni0' }
/** What becomes of it where the rules are in place. */
export const AGENT = { fate: 'redirected', address: '10.0.0.1', port: 8181 }

const managers: CaptureManager[] = []

/** For `afterEach`: every start has a stop. */
export async function stopAll(): Promise<void> {
  await Promise.all(managers.splice(0).map((manager) => manager.stop()))
}

/** A manager on a node in memory, which another manager may be on already. */
export function setUp(
  settings: Partial<CaptureSettings> = {},
  options: FakeNetfilterOptions | FakeNetfilter = {},
  clock: FakeClock = createFakeClock(),
) {
  const netfilter = 'runner' in options ? options : createFakeNetfilter(options)
  const { report, events } = collectReports<CaptureEvent>()
  const manager = createCaptureManager({
    settings: {
      instance: 'agent-1',
      hostIps: [parseIpAddress('10.0.0.1')],
      appPort: 8181,
      hostInterface: parseHostInterface('cni0'),
      backend: 'iptables-nft',
      // What the rules in netfilter do by themselves; the guard behind them has tests of its own.
      guardRouting: false,
      ...settings,
    },
    runner: netfilter.runner,
    files: netfilter.files,
    reach: netfilter.reach,
    clock,
    random: createSeededRandom(1),
    report,
  })
  managers.push(manager)
  const told = (type: CaptureEvent['type']) => events.filter((event) => event.type === type)
  return { manager, netfilter, clock, events, told }
}
