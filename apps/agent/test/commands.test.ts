import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
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
  [['explain', '--help'], /--manifests +a file or folder/],
  [['doctor', '--help'], /--json +print JSON/],
  [['uninstall', '--help'], /--also-kube2iam +also remove/],
  [['iptables', 'plan', '--help'], /--json +print JSON/],
])('%j prints the help of that command', async (args, text) => {
  const { code, stdout } = await runProgram(args)
  expect(stdout).toMatch(text)
  expect(stdout).toContain('Every flag of the agent is taken too')
  expect(code).toBe(0)
})

test.each([
  [['version', 'x'], /^kube2iam: version takes nothing more: leave out "x"\n$/],
  [['help', 'x'], /^kube2iam: help takes nothing more: leave out "x"\n$/],
  [['iptables'], /^kube2iam: iptables needs to know what: give plan or status\n$/],
  [['iptables', 'frob'], /^kube2iam: iptables needs to know what: give plan or status\n$/],
  [['iptables', 'plan'], /^kube2iam: .*--host-ip.*\n$/],
])('%j is refused', async (args, line) => {
  const { code, stderr } = await runProgram(args)
  expect(stderr).toMatch(line)
  expect(code).toBe(2)
})

const asRoot = process.getuid?.() === 0
const inOwnNetwork = (command: string) => {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  return promisify(execFile)('unshare', ['--net', process.execPath, main, command], {
    env: { PATH: process.env['PATH'] },
  })
}

test.skipIf(!asRoot)('install needs no flag: what is dropped is led nowhere', async () => {
  const { stdout } = await inOwnNetwork('install')
  expect(stdout).toMatch(/^Pods of this node are kept from the metadata service/)
})

test.skipIf(!asRoot)('uninstall needs no flag: rules are found by what they are', async () => {
  const { stdout } = await inOwnNetwork('uninstall')
  expect(stdout).toBe(
    'There are no rules of ours.\nPods of this node reach its metadata service, and with it the role of the node.\n',
  )
})

describe('doctor', () => {
  const args = () => world.args.filter((arg) => /kubeconfig|metadata-addr|--node/.test(arg))

  test('finds out whether each annotated role can be had, and what is wrong, with its remedy', async () => {
    world.addRole('healthy')
    world.addPod({ name: 'fine', ip: '127.44.0.20', annotations: { 'iam.amazonaws.com/role': 'healthy' } })
    world.addPod({ name: 'lost', ip: '127.44.0.21', annotations: { 'iam.amazonaws.com/role': 'nowhere' } })
    world.addPod({ name: 'odd', ip: '127.44.0.22', annotations: { 'iam.amazonaws.com/role': 'not a role' } })
    const { code, stdout } = await runProgram(['doctor', '--json', ...args()], world.env)
    const findings = JSON.parse(stdout) as {
      check: string
      severity: string
      message: string
      remedy?: string
    }[]
    const of = (check: string) => findings.filter((finding) => finding.check === check)
    expect(of('api-server')).toMatchObject([{ severity: 'ok' }])
    expect(of('sts')).toMatchObject([
      { severity: 'ok', message: expect.stringContaining('assumed-role/node') },
    ])
    expect(of('clock')).toMatchObject([{ severity: 'ok' }])
    const role = (name: string) => of('role').find(({ message }) => message.includes(`role/${name}`))
    expect(role('healthy')).toMatchObject({ severity: 'ok' })
    expect(role('nowhere')).toMatchObject({
      severity: 'error',
      remedy: expect.stringContaining('trust policy'),
    })
    expect(of('annotation')).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('default/odd') },
    ])
    expect(of('metadata-tokens')).toMatchObject([
      { severity: 'warning', remedy: expect.stringContaining('hop-limit') },
    ])
    expect(of('hop-limit')).toMatchObject([
      {
        severity: 'unknown',
        message: expect.stringContaining('not measured'),
        remedy: expect.stringContaining('--http-put-response-hop-limit 1'),
      },
    ])
    expect(code).toBe(1)
    const dry = world.sts.calls.filter(({ action }) => action === 'AssumeRole')
    expect(dry.length).toBeGreaterThan(0)
    for (const { requestParameters } of dry) expect(requestParameters['Policy']).toContain('"Deny"')
  })

  test('prints a line for each finding, and says that an API server is not there', async () => {
    const { code, stdout } = await runProgram(
      ['doctor', ...args(), '--kubeconfig', world.path('gone')],
      world.env,
    )
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    const { stdout: text } = await runProgram(['doctor', ...args()], world.env)
    expect(text).toMatch(/^ok {7}api-server/m)
    expect(text).toMatch(/^unknown {2}hop-limit .*\n +remedy: .*HttpPutResponseHopLimit/m)
  })
})
