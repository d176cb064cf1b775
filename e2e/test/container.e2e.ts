import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentEnv, METRICS_PORT, runToEnd, untilReady } from '../src/agent.ts'
import { furnish } from '../src/cluster.ts'
import { run } from '../src/lab/command.ts'
import { buildImage, type Image, startContainer } from '../src/lab/container.ts'
import { ADDRESSES, createLab, type Lab } from '../src/lab/lab.ts'
import { ownPrefix } from '../src/lab/owner.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { describeMainJob } from '../src/main-job.ts'
import {
  actionOf,
  type Container,
  expand,
  fieldsOf,
  isAllowed,
  type Rendered,
  render,
} from '../src/manifests.ts'
import { makeCertificates } from '../src/world/certificates.ts'
import type { WorldOptions } from '../src/world/protocol.ts'
import { startWorld, type World } from '../src/world/world.ts'

// The main job once more, by the image, started as the DaemonSet says it: its args, its capabilities, its mounts,
// its read-only root, and an API server that is HTTPS and wants the service account's token.
const needs = [
  'ip',
  'iptables',
  'conntrack',
  'curl',
  'aws',
  'buildah',
  'runc',
  'debootstrap',
  'kubectl',
  'openssl',
]

if (!mustSkip('the container', needs)) {
  const folder = mkdtempSync(join(tmpdir(), `${ownPrefix()}image-`))
  const token = 'e2e-service-account-token'
  let image: Image
  let manifests: Rendered
  let world: World

  beforeAll(async () => {
    image = await buildImage(folder)
    manifests = await render('base')
  }, 600_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const containerOf = (lab: Lab, container: Container, args: readonly string[], from = manifests) => {
    const { capabilities } = container.securityContext
    const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'
    return startContainer(lab, lab.node, {
      image,
      args: expand(args, fieldsOf(container)),
      env: {
        ...agentEnv(world),
        KUBERNETES_SERVICE_HOST: new URL(world.apiUrl).hostname,
        KUBERNETES_SERVICE_PORT: new URL(world.apiUrl).port,
      },
      capabilities: capabilities.add.map((name) => `CAP_${name}`),
      mounts: {
        ...volumeMounts(lab, container, from),
        [serviceAccount]: { source: join(lab.folder, 'service-account'), readOnly: true },
      },
    })
  }

  /** The API server as a cluster has it, and what the kubelet puts into the pod to reach it. */
  async function secured(lab: Lab): Promise<Partial<WorldOptions>> {
    const folder = join(lab.folder, 'service-account')
    mkdirSync(folder)
    const tls = await makeCertificates(lab.folder, lab.worldAddress)
    writeFileSync(join(folder, 'token'), token)
    writeFileSync(join(folder, 'ca.crt'), tls.ca)
    writeFileSync(join(folder, 'namespace'), 'kube-system')
    return { apiSecurity: { token, tls } }
  }

  describeMainJob(
    'the agent from the image, as the DaemonSet starts it',
    async (lab, started) => {
      world = started
      await world.apply(manifests.daemonSet)
      const { initContainers, containers } = manifests.daemonSet.spec.template.spec
      for (const init of initContainers) {
        const installed = await runToEnd(containerOf(lab, init, init.args))
        expect(installed, installed.stdout).toMatchObject({ code: 0 })
      }
      const [main] = containers
      const agent = containerOf(lab, main!, main!.args)
      await untilReady(world, agent)
      return { agent, command: (args) => runToEnd(containerOf(lab, main!, args)) }
    },
    {
      tokens: 'required',
      world: secured,
      async beforeStop() {
        const actions = (await world.apiRequests())
          .map(({ method, path }) => actionOf(method, path))
          .filter((action) => action !== undefined)
        expect(actions.length).toBeGreaterThan(0)
        expect(actions.filter((action) => !isAllowed(action, manifests.rules))).toEqual([])
      },
    },
  )

  describe('what a component brings', () => {
    const MIGRATE = ['sysctl', '-n', 'net.ipv4.tcp_migrate_req']
    let lab: Lab
    beforeAll(async () => {
      lab = await createLab()
      world = await startWorld(lab, await secured(lab))
      await furnish(world, [])
    })
    afterAll(() => lab?.close())

    /** What an agent says of itself once it is ready and has made its probe; then it is stopped. */
    async function started(folder: string) {
      const rendered = await render(folder)
      const [main] = rendered.daemonSet.spec.template.spec.containers
      const agent = containerOf(lab, main!, main!.args, rendered)
      await untilReady(world, agent)
      await agent.waitForOutput(/"msg":"capture probed"/)
      const { body } = await world.get(`http://${ADDRESSES.node}:${METRICS_PORT}/readyz`)
      await agent.stop()
      const { parts } = JSON.parse(body) as { parts: { name: string; ok: boolean; reason: string }[] }
      return { log: agent.output(), seen: parts.find(({ name }) => name === 'interception-seen') }
    }

    test('the base may change no setting of the kernel, and make no probe, and says so', async () => {
      const { log, seen } = await started('base')
      expect(log).toContain('"program":"stdbuf -oL xtables-monitor -e"')
      expect(log).not.toContain('capture monitor lost')
      expect(log).toContain('connections that wait to be accepted may be reset when agents change')
      expect(log).toContain('EROFS')
      expect(await lab.node.mustRun(MIGRATE)).toBe('0\n')
      expect(seen).toMatchObject({ ok: false, reason: expect.stringContaining('unseen') })
      expect(log).toMatch(/"outcome":"impossible","reason":"no network namespace can be made: /)
    })

    test('migrate-requests: that one setting, in the network of the node', async () => {
      const { log } = await started('overlays/migrate-requests')
      expect(log).toMatch(/"by":"this agent".*connections that wait to be accepted pass to the next agent/)
      expect(await lab.node.mustRun(MIGRATE)).toBe('1\n')
      expect((await run(MIGRATE)).stdout).toBe('0\n')
    })

    test('interception-probe: readiness knows that packets are redirected before any pod has asked', async () => {
      const { log, seen } = await started('overlays/interception-probe')
      expect(seen, log).toMatchObject({ ok: true, reason: expect.stringMatching(/probe.*redirected/) })
    })
  })

  describe('the image', () => {
    let lab: Lab
    beforeAll(async () => {
      lab = await createLab()
    })
    afterAll(() => lab?.close())

    test.each([
      ['iptables-nft', '-t', 'nat', '-S'],
      ['ip6tables-nft', '-t', 'nat', '-S'],
      ['iptables-legacy', '-t', 'nat', '-S'],
      ['ip6tables-legacy', '-t', 'mangle', '-S'],
      ['nft', '-j', 'list', 'ruleset'],
      ['conntrack', '-L'],
      ['ip', '-json', 'route', 'show'],
      ['kube2iam', '--version'],
    ])('has %s, and it works with the rights of the DaemonSet', async (tool, ...args) => {
      const [main] = manifests.daemonSet.spec.template.spec.containers
      const container = startContainer(lab, lab.node, {
        image,
        entrypoint: ['/usr/bin/env', tool],
        args,
        capabilities: main!.securityContext.capabilities.add.map((name) => `CAP_${name}`),
        mounts: volumeMounts(lab, main!, manifests),
      })
      expect(await runToEnd(container)).toMatchObject({ code: 0 })
    })

    test('has the small monitor, which tells of each change as it is made', async () => {
      const [main] = manifests.daemonSet.spec.template.spec.containers
      const container = startContainer(lab, lab.node, {
        image,
        entrypoint: ['/usr/bin/env', 'stdbuf', '-oL', 'xtables-monitor', '-e'],
        args: [],
        capabilities: main!.securityContext.capabilities.add.map((name) => `CAP_${name}`),
        mounts: volumeMounts(lab, main!, manifests),
      })
      // It says nothing when it listens, so changes are made until one is heard of.
      const heard: number[] = []
      const told = container.waitForOutput(/EVENT:.*-t nat -A PREROUTING/, 60_000).finally(() => {
        heard.push(container.output().length)
      })
      const changes = async () => {
        while (heard.length === 0) {
          for (const verb of ['-A', '-D'])
            await lab.node.mustRun(['iptables-nft', '-w', '-t', 'nat', verb, 'PREROUTING', '-j', 'RETURN'])
          await delay(100)
        }
      }
      await Promise.all([told, changes()])
      // Buffered, the first that is heard of is a whole page.
      expect(heard[0]).toBeLessThan(2_000)
      // A first process without handlers of its own does not hear SIGTERM.
      await container.stop(100)
    })

    test('has no shell and no package manager', () => {
      for (const path of [
        'bin/sh',
        'bin/bash',
        'bin/dash',
        'usr/bin/apt-get',
        'usr/bin/dpkg',
        'usr/bin/perl',
      ]) {
        expect(existsSync(join(image.rootfs, path)), path).toBe(false)
      }
    })

    test('is small', () => {
      const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
      console.log(`image: ${mebibytes(image.bytes)} on disk, ${mebibytes(image.compressedBytes)} to pull`)
      expect(image.bytes).toBeLessThan(128 * 2 ** 20)
    })
  })
}

/** The volumes of a container, with a folder of the lab in the place of the host's root. */
function volumeMounts(lab: Lab, container: Container, manifests: Rendered) {
  const volumes = manifests.daemonSet.spec.template.spec.volumes
  return Object.fromEntries(
    container.volumeMounts.map(({ name, mountPath, readOnly = false }) => {
      const { hostPath } = volumes.find((volume) => volume.name === name) ?? {}
      // Which network namespace a file below /proc/sys/net is about, whoever mounts it decides.
      if (hostPath?.path.startsWith('/proc/') === true)
        return [mountPath, { source: hostPath.path, readOnly }]
      const source = join(lab.folder, hostPath === undefined ? `volume-${name}` : `host${hostPath.path}`)
      if (hostPath?.type.startsWith('File') === true) {
        mkdirSync(join(source, '..'), { recursive: true })
        writeFileSync(source, '', { flag: 'a' })
      } else mkdirSync(source, { recursive: true })
      return [mountPath, { source, readOnly }]
    }),
  )
}
