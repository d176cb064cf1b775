import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from './support/agent-process.ts'
import { createWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

test('--help and help list the commands and every chapter of flags', async () => {
  const { code, stdout } = await runProgram(['--help'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/kube2iam explain/)
  for (const flag of ['--app-port', '--imds-tokens', '--iptables-backend', '--config'])
    expect(stdout).toContain(flag)
  expect((await runProgram(['help'])).stdout).toBe(stdout)
})

test('--version and version print what kube2iam prints', async () => {
  const line = /^Version: \d+\.\d+\.\d+ - Commit: \w+ - Date: .*\n$/
  expect((await runProgram(['--version'])).stdout).toMatch(line)
  expect((await runProgram(['version'])).stdout).toMatch(line)
})

describe('explain', () => {
  const manifests = () => {
    writeFileSync(
      world.path('objects.yaml'),
      `apiVersion: v1
kind: List
items:
  - kind: Namespace
    metadata: { name: prod, annotations: { iam.amazonaws.com/allowed-roles: '["team/*"]' } }
  - kind: Pod
    metadata: { name: web-0, namespace: prod, annotations: { iam.amazonaws.com/role: team/app } }
    spec: { serviceAccountName: web }
  - kind: Pod
    metadata: { name: admin, namespace: prod, annotations: { iam.amazonaws.com/role: admin } }
`,
    )
    return [
      `--manifests=${world.path('objects.yaml')}`,
      '--namespace-restrictions',
      '--base-role-arn=arn:aws:iam::123456789012:role/',
    ]
  }

  test('says from manifests which role a pod gets, and every rule that was looked at', async () => {
    const { code, stdout } = await runProgram(['explain', '--pod=prod/web-0', ...manifests()])
    expect(stdout).toContain('granted arn:aws:iam::123456789012:role/team/app')
    expect(stdout).toContain('namespace restrictions')
    expect(code).toBe(0)
  })

  test('ends with status 1 for a pod that gets none, as JSON where that is asked for', async () => {
    const { code, stdout } = await runProgram(['explain', '--json', '--pod=prod/admin', ...manifests()])
    expect(JSON.parse(stdout)).toMatchObject({ decision: { kind: 'denied', code: 'namespace-denied' } })
    expect(code).toBe(1)
  })

  test('asks the API server and the metadata service where there are no manifests', async () => {
    world.addPod({ name: 'live', ip: '127.44.0.9', annotations: { 'iam.amazonaws.com/role': 'live' } })
    const args = world.args.filter((arg) => /kubeconfig|metadata-addr/.test(arg))
    const { code, stdout } = await runProgram(['explain', '--pod', 'default/live', ...args])
    expect(stdout).toContain('granted arn:aws:iam::123456789012:role/live')
    expect(code).toBe(0)
  })

  test.each([
    [['--pod=x'], /^kube2iam: --pod "x" names no pod: give NAMESPACE\/NAME\n$/],
    [['--pod=prod/nobody'], /^kube2iam: --pod prod\/nobody is not there: give a pod that exists\n$/],
    [['--pod=prod/web-0', '--bogus'], /^kube2iam: --bogus is no flag: .*\n$/],
  ])('refuses %j', async (args, line) => {
    const { code, stderr } = await runProgram(['explain', ...manifests(), ...args])
    expect(stderr).toMatch(line)
    expect(code).toBe(2)
  })
})

test.each([
  [['iptables'], /^kube2iam: iptables needs to know what: give plan or status\n$/],
  [['iptables', 'frob'], /^kube2iam: iptables needs to know what: give plan or status\n$/],
  [['install'], /^kube2iam: .*--host-ip.*\n$/],
])('%j is refused', async (args, line) => {
  const { code, stderr } = await runProgram(args)
  expect(stderr).toMatch(line)
  expect(code).toBe(2)
})
