import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectToCluster, createEventRecorder, loadCluster } from '../src/kubernetes.ts'
import { createFakeApiServer, type FakeApiServer } from '../src/testing.ts'

const isInstalled = spawnSync('kubectl', ['version', '--client']).status === 0
if (!isInstalled)
  process.stderr.write('kubectl is not installed: its tests against the fake API server are skipped\n')

const POD = (role: string): string => `apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: team
  annotations: {iam.amazonaws.com/role: ${role}}
spec:
  nodeName: node-1
  containers:
  - {name: main, image: busybox}
`

describe.skipIf(!isInstalled)('kubectl against the fake API server', { timeout: 30_000 }, () => {
  let server: FakeApiServer
  let home: string
  let url: string
  const environment = () => ({
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    KUBECONFIG: join(home, 'config'),
  })
  const kubectl = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('kubectl', args, { env: environment(), timeout: 15_000 })
    return stdout
  }

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'kubectl-'))
    // kubectl sends a token over HTTPS only, so this is HTTPS with a certificate that it verifies.
    server = createFakeApiServer({ tls: true, token: 'secret' })
    url = (await server.listen()).url
    await writeFile(join(home, 'config'), server.kubeconfig())
  })
  afterAll(async () => {
    await server.close()
    await rm(home, { recursive: true })
  })

  test('apply creates pods and namespaces, and changes them', async () => {
    const manifest = join(home, 'pod.yaml')
    await writeFile(manifest, POD('one'))
    expect(await kubectl('apply', '-f', manifest)).toBe('namespace/team created\npod/web-0 created\n')
    await writeFile(manifest, POD('two'))
    expect(await kubectl('apply', '-f', manifest)).toBe('namespace/team unchanged\npod/web-0 configured\n')
    expect(server.get('Pod', 'team', 'web-0')?.metadata.annotations?.['iam.amazonaws.com/role']).toBe('two')
  })

  test('get shows pods and namespaces in columns', async () => {
    const pod = server.get('Pod', 'team', 'web-0')
    if (pod !== undefined)
      server.apply({ ...pod, status: { phase: 'Running', podIP: '10.0.0.7', podIPs: [{ ip: '10.0.0.7' }] } })
    expect(await kubectl('get', 'pods', '-A', '-o', 'wide')).toMatch(
      /^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE +IP +NODE\nteam +web-0 +1\/1 +Running +0 +\d+s +10\.0\.0\.7 +node-1\n$/,
    )
    expect(await kubectl('get', 'ns')).toMatch(/^NAME +STATUS +AGE\ndefault +Active/)
    expect(
      await kubectl('get', 'pods', '-n', 'team', '--field-selector', 'spec.nodeName=node-1', '-o', 'name'),
    ).toBe('pod/web-0\n')
    expect(JSON.parse(await kubectl('get', 'pod', 'web-0', '-n', 'team', '-o', 'json'))).toMatchObject({
      kind: 'Pod',
    })
  })

  test('get -w shows what changes while it watches', async () => {
    const watching = spawn('kubectl', ['get', 'pods', '-A', '-w'], { env: environment() })
    let shown = ''
    watching.stdout.on('data', (data: Buffer) => (shown += data.toString()))
    await expect.poll(() => shown, { timeout: 10_000 }).toContain('web-0')
    server.apply({
      kind: 'Pod',
      metadata: { name: 'late', namespace: 'default' },
      spec: { containers: [{ name: 'a' }] },
    })
    await expect.poll(() => shown, { timeout: 10_000 }).toMatch(/default +late +0\/1 +Pending/)
    watching.kill()
  })

  test('describe shows a pod with the Events that were written about it', async () => {
    const uid = server.get('Pod', 'team', 'web-0')?.metadata.uid ?? ''
    const connection = connectToCluster(await loadCluster({ kind: 'kubeconfig', path: join(home, 'config') }))
    const { record } = createEventRecorder({
      connection,
      clock: systemClock,
      random: Math.random,
      component: 'kube2iam',
      instance: 'node-1',
    })
    await record({
      subject: { kind: 'Pod', namespace: 'team', name: 'web-0', uid },
      type: 'Warning',
      reason: 'RoleForbidden',
      action: 'AssumeRole',
      message: 'the namespace does not allow role two',
    })
    await connection.close()
    const described = await kubectl('describe', 'pod', 'web-0', '-n', 'team')
    expect(described).toMatch(/Annotations: +iam.amazonaws.com\/role: two/)
    expect(described).toMatch(/Warning +RoleForbidden .*kube2iam.* +the namespace does not allow role two/)
  })

  test('apply --server-side creates and changes, and refuses what another manager wants otherwise', async () => {
    const manifest = join(home, 'server-side.yaml')
    const applied = (role: string, ...args: string[]) =>
      writeFile(manifest, POD(role).replaceAll('team', 'other')).then(() =>
        kubectl('apply', '--server-side', '-f', manifest, ...args),
      )
    expect(await applied('one')).toBe('namespace/other serverside-applied\npod/web-0 serverside-applied\n')
    await applied('two')
    expect(server.get('Pod', 'other', 'web-0')?.metadata.annotations).toEqual({
      'iam.amazonaws.com/role': 'two',
    })
    await expect(applied('three', '--field-manager=ci')).rejects.toMatchObject({
      stderr: expect.stringContaining(
        'conflict with "kubectl": .metadata.annotations.iam.amazonaws.com/role',
      ),
    })
    await applied('three', '--field-manager=ci', '--force-conflicts')
  })

  test('delete -f of a namespace with what is in it finds both, and returns when both are gone', async () => {
    // The namespace is emptied when the pod has been asked for, however long kubectl takes for that.
    const clock = createFakeClock()
    const own = createFakeApiServer({ tls: true, token: 'secret', clock })
    own.subscribe(({ type, object }) => {
      if (type === 'DELETED' && object.kind === 'Pod') void clock.advance(2000)
    })
    await own.listen()
    try {
      const [manifest, config] = [join(home, 'delete.yaml'), join(home, 'own-config')]
      await writeFile(config, own.kubeconfig())
      await writeFile(manifest, POD('one'))
      await kubectl('--kubeconfig', config, 'apply', '-f', manifest)
      const deleted = await kubectl('--kubeconfig', config, 'delete', '-f', manifest)
      expect(deleted).toMatch(/namespace "team" deleted\n.*pod "web-0" deleted/s)
      expect(own.get('Namespace', undefined, 'team')).toBe(undefined)
    } finally {
      await own.close()
    }
  })

  test('delete removes and returns', async () => {
    expect(await kubectl('delete', 'pod', 'web-0', '-n', 'team')).toContain('deleted')
    expect(await kubectl('delete', 'ns', 'team')).toContain('deleted')
    expect(server.list('Pod', 'team')).toEqual([])
  })

  test('a wrong token is refused', async () => {
    await expect(kubectl('--token', 'wrong', 'get', 'pods')).rejects.toMatchObject({
      stderr: expect.stringMatching(/logged in|credentials|Unauthorized/),
    })
    expect(url).toMatch(/^https:/)
  })
})
