import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCidr, parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCaptureManager, createNodeFiles, printSource } from '../../src/index.ts'
import { createNamespace, inside, ip, whyNoNamespaces } from './netns.ts'

// The plugins of Debian's containernetworking-plugins give pods their interfaces, as a container runtime would call
// them (github.com/containernetworking/cni, SPEC.md).
const PLUGINS = '/usr/lib/cni'
const reason =
  whyNoNamespaces() ?? (existsSync(`${PLUGINS}/bridge`) ? undefined : `${PLUGINS} is not installed: skipped`)

interface CniResult {
  readonly ips: readonly { readonly address: string }[]
  readonly interfaces?: readonly { readonly name: string; readonly sandbox?: string }[]
}

describe.skipIf(reason !== undefined)(`auto finds where real CNI plugins put pods ${reason ?? ''}`, () => {
  let node: ReturnType<typeof createNamespace>
  let pod: ReturnType<typeof createNamespace>
  let directory: string
  beforeEach(() => {
    node = createNamespace('node')
    pod = createNamespace('pod')
    directory = mkdtempSync(join(tmpdir(), 'k2im-cni-'))
    ip('-n', node.name, 'link', 'set', 'lo', 'up')
    ip('-n', node.name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'peer0')
    ip('-n', node.name, 'link', 'set', 'peer0', 'up')
    ip('-n', node.name, 'link', 'set', 'eth0', 'up')
    ip('-n', node.name, 'address', 'add', '10.8.0.2/24', 'dev', 'eth0')
    ip('-n', node.name, 'route', 'add', 'default', 'via', '10.8.0.1')
  })
  afterEach(() => {
    for (const { remove } of [pod, node]) remove()
    rmSync(directory, { recursive: true })
  })

  const attach = (
    configuration: Readonly<Record<string, unknown>> & { readonly type: string },
  ): CniResult => {
    const config = {
      cniVersion: '0.4.0',
      name: 'test',
      ipam: {
        type: 'host-local',
        subnet: '10.244.3.0/24',
        dataDir: directory,
        routes: [{ dst: '0.0.0.0/0' }],
      },
      ...configuration,
    }
    writeFileSync(join(directory, '10-test.conf'), JSON.stringify(config))
    const stdout = execFileSync('ip', ['netns', 'exec', node.name, `${PLUGINS}/${configuration.type}`], {
      input: JSON.stringify(config),
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'pod-1',
        CNI_NETNS: `/run/netns/${pod.name}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: PLUGINS,
      },
      encoding: 'utf8',
    })
    return JSON.parse(stdout) as CniResult
  }
  const found = async (addresses: readonly string[], withConfiguration = false) => {
    const real = createNodeFiles()
    const manager = createCaptureManager({
      settings: {
        instance: 'cni',
        hostIps: [parseIpAddress('10.8.0.2')],
        appPort: 8181,
        podCidrs: [parseCidr('10.244.3.0/24')],
      },
      runner: inside(node.name).runner,
      files: {
        readText: (path) =>
          path.startsWith('/etc/cni')
            ? real.readText(join(directory, path.slice(15)))
            : inside(node.name).files.readText(path),
        list: async (path) => (path === '/etc/cni/net.d' && withConfiguration ? ['10-test.conf'] : []),
      },
      clock: systemClock,
      random: Math.random,
      report: () => {},
    })
    manager.setPods(addresses.map(parseIpAddress))
    const { sources, sourcesEvidence } = await manager.inspect()
    return { sources: sources.map(printSource), evidence: sourcesEvidence.join('; ') }
  }
  const addressOf = (result: CniResult): string => result.ips[0]?.address.split('/')[0] ?? ''

  it('bridge', async () => {
    const address = addressOf(attach({ type: 'bridge', bridge: 'cbr0', isGateway: true }))
    expect((await found([address])).sources).toEqual(['cbr0'])
    expect((await found([], true)).sources).toEqual(['cbr0'])
  })

  it('ptp, and with the names that Calico gives', async () => {
    const result = attach({ type: 'ptp' })
    const address = addressOf(result)
    expect((await found([address])).sources).toEqual(['veth+'])
    const hostEnd =
      result.interfaces?.find(({ sandbox }) => sandbox === undefined || sandbox === '')?.name ?? ''
    ip('-n', node.name, 'link', 'set', hostEnd, 'down')
    ip('-n', node.name, 'link', 'set', hostEnd, 'name', 'cali0123abcd')
    ip('-n', node.name, 'link', 'set', 'cali0123abcd', 'up')
    ip('-n', node.name, 'route', 'replace', `${address}/32`, 'dev', 'cali0123abcd')
    expect((await found([address])).sources).toEqual(['cali+'])
  })

  it('macvlan: by address range, and it says why', async () => {
    const address = addressOf(attach({ type: 'macvlan', master: 'eth0' }))
    const { sources, evidence } = await found([address])
    expect(sources).toEqual(['10.244.3.0/24'])
    expect(evidence).toContain('no interface of their own on the node')
    expect((await found([], true)).evidence).toContain('has the plugin macvlan')
  })
})
