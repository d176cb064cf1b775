import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentEnv, runToEnd, untilReady } from '../src/agent.ts'
import { buildImage, type Image, startContainer } from '../src/lab/container.ts'
import { createLab, type Lab } from '../src/lab/lab.ts'
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
import type { World } from '../src/world/world.ts'

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

  const containerOf = (lab: Lab, container: Container, args: readonly string[]) => {
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
        ...hostPaths(lab, container, manifests),
        [serviceAccount]: { source: join(lab.folder, 'service-account'), readOnly: true },
      },
    })
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
      async world(lab) {
        const folder = join(lab.folder, 'service-account')
        mkdirSync(folder)
        const tls = await makeCertificates(lab.folder, lab.worldAddress)
        writeFileSync(join(folder, 'token'), token)
        writeFileSync(join(folder, 'ca.crt'), tls.ca)
        writeFileSync(join(folder, 'namespace'), 'kube-system')
        return { apiSecurity: { token, tls } }
      },
      async beforeStop() {
        const actions = (await world.apiRequests())
          .map(({ method, path }) => actionOf(method, path))
          .filter((action) => action !== undefined)
        expect(actions.length).toBeGreaterThan(0)
        expect(actions.filter((action) => !isAllowed(action, manifests.rules))).toEqual([])
      },
    },
  )

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
        mounts: hostPaths(lab, main!, manifests),
      })
      expect(await runToEnd(container)).toMatchObject({ code: 0 })
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

/** The hostPath volumes of a container, with a folder of the lab in the place of the host's root. */
function hostPaths(lab: Lab, container: Container, manifests: Rendered) {
  const volumes = manifests.daemonSet.spec.template.spec.volumes
  return Object.fromEntries(
    container.volumeMounts.map(({ name, mountPath, readOnly = false }) => {
      const path = volumes.find((volume) => volume.name === name)?.hostPath.path ?? ''
      const source = join(lab.folder, 'host', path)
      if (path.endsWith('.lock')) {
        mkdirSync(join(source, '..'), { recursive: true })
        writeFileSync(source, '', { flag: 'a' })
      } else mkdirSync(source, { recursive: true })
      return [mountPath, { source, readOnly }]
    }),
  )
}
