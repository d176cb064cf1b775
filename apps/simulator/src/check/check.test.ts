import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { run } from '../cli.ts'
import { collectingTerminal } from '../testing/collecting-terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'kube2iam-sim-check-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const NODE = 'arn:aws:iam::123456789012:role/kube-node'
const template = (role: string | undefined, spec = ''): string =>
  `{metadata: {annotations: {${role === undefined ? '' : `iam.amazonaws.com/role: ${role}`}}}, spec: {containers: []${spec}}}`
const manifests = (webRole: string): string => `
{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {iam.amazonaws.com/allowed-roles: '["shop-*"]'}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: ${template(webRole)}}}
---
{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-7f9c, namespace: shop, ownerReferences: [{kind: Deployment, name: web}]}, spec: {template: ${template(webRole)}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-7f9c-abcde, namespace: shop, ownerReferences: [{kind: ReplicaSet, name: web-7f9c}]}, spec: {}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop}, spec: {template: ${template(undefined)}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: report, namespace: shop}, spec: {jobTemplate: {spec: {template: ${template('shop-report')}}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: exporter, namespace: shop}, spec: {template: ${template('shop-exporter', ', hostNetwork: true')}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: alone, namespace: shop, annotations: {iam.amazonaws.com/role: admin}}, spec: {}}
`
const trusting = (principal: string) => ({
  Statement: [{ Effect: 'Allow', Principal: { AWS: principal }, Action: 'sts:AssumeRole' }],
})
const iam = {
  RoleDetailList: [
    { Arn: 'arn:aws:iam::123456789012:role/shop-web', AssumeRolePolicyDocument: trusting(NODE) },
    {
      Arn: 'arn:aws:iam::123456789012:role/shop-report',
      AssumeRolePolicyDocument: trusting('arn:aws:iam::123456789012:role/other'),
    },
  ],
}
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const k8s = file('k8s.yaml', manifests('shop-web'))
const roles = file('iam.json', JSON.stringify(iam))

async function sim(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const terminal = collectingTerminal()
  const status = await run(args, terminal)
  return { status, out: terminal.printed(), err: terminal.warned() }
}
const check = (...args: string[]) =>
  sim('check', '--iam', roles, '--node-role', NODE, ...args, '--', '--namespace-restrictions')

test('every workload is listed once, with what it gets and why not', async () => {
  const { status, out } = await check(k8s)
  const lines = out.split('\n').map((line) => line.replaceAll(/\s{2,}/g, ' | '))
  expect(status).toBe(1)
  expect(lines.slice(1, 7)).toEqual([
    expect.stringMatching(
      /^Pod shop\/alone \| denied: namespace-denied \(123456789012:role\/admin\) \| ✗ \| pod shop\/alone: /,
    ),
    expect.stringMatching(/^StatefulSet shop\/db \| no role \| ✓/),
    expect.stringMatching(/^DaemonSet shop\/exporter \| denied: host-network \| ✗/),
    expect.stringMatching(
      /^CronJob shop\/report \| refused by STS: AccessDenied \(123456789012:role\/shop-report\) \| ✗/,
    ),
    expect.stringMatching(/^Deployment shop\/web \| 123456789012:role\/shop-web \| ✓/),
    '',
  ])
})

test('against a baseline, what was lost is the failure, as a table for the pull request', async () => {
  const baseline = join(folder, 'old.json')
  await check(k8s, '--format', 'json', '-o', baseline)
  expect(await check(k8s, '--baseline', baseline)).toMatchObject({
    status: 0,
    out: expect.stringContaining('Nothing changes against the baseline.'),
  })
  const changed = file('new.yaml', manifests('shop-wbe'))
  const { status, out } = await check(changed, '--baseline', baseline, '--format', 'markdown')
  expect(status).toBe(1)
  expect(out).toContain('**1 of 5 workloads change**, **1 lose what they had**.')
  expect(out).toContain(
    '| ⚠️ | Deployment shop/web | 123456789012:role/shop-web | refused by STS: NoSuchRole (123456789012:role/shop-wbe) |',
  )
  expect((await check(changed, '--baseline', baseline, '--format', 'github')).out).toMatch(
    /^::error title=Deployment shop\/web::/,
  )
})

test('a migration from kiam names what has to be done', async () => {
  const kiam = file(
    'kiam.yaml',
    `
{kind: Namespace, metadata: {name: a, annotations: {iam.amazonaws.com/permitted: 'reader|writer'}}}
---
{kind: Namespace, metadata: {name: b}}
---
{kind: Pod, metadata: {name: reader, namespace: a, annotations: {iam.amazonaws.com/role: reader}}}
---
{kind: Pod, metadata: {name: admin, namespace: a, annotations: {iam.amazonaws.com/role: reader-admin}}}
---
{kind: Pod, metadata: {name: any, namespace: b, annotations: {iam.amazonaws.com/role: reader}}}
`,
  )
  const plan = async (...settings: string[]) => {
    const { out } = await sim(
      'check',
      kiam,
      '--node-role',
      NODE,
      '--from',
      'kiam',
      '--format',
      'json',
      '--',
      ...settings,
    )
    return (JSON.parse(out) as { steps: { workload: string; todo?: string }[] }).steps.map(
      ({ workload, todo }) => `${workload}: ${todo ?? '-'}`,
    )
  }
  expect(await plan('--namespace-restrictions')).toEqual([
    expect.stringMatching(/^Pod a\/admin: the pattern "reader\|writer" has to match the whole role here/),
    'Pod a/reader: -',
    'Pod b/any: -',
  ])
  expect((await plan())[2]).toMatch(/permitted nothing under kiam and allows this now/)
})

test('a migration from the node role names the pods that would be left without', async () => {
  const { out } = await sim('check', k8s, '--from', 'node-role', '--node-role', NODE)
  expect(out).toMatch(/StatefulSet shop\/db\s+123456789012:role\/kube-node\s+no role\s+annotate it/)
})

test('explain shows every rule, and what STS would say', async () => {
  const { status, out } = await sim(
    'explain',
    k8s,
    '--iam',
    roles,
    '--node-role',
    NODE,
    '--pod',
    'shop/report',
    '--',
    '--namespace-restrictions',
  )
  expect(status).toBe(1)
  expect(out).toContain(
    'pod shop/report-xxxxx: granted arn:aws:iam::123456789012:role/shop-report (from pod)',
  )
  expect(out).toContain('+ namespace restrictions')
  expect(out).toContain('x trust policy: STS would refuse (AccessDenied)')
  expect(await sim('explain', k8s, '--pod', 'shop/repotr')).toMatchObject({
    status: 2,
    err: '--pod:1:1: there is no pod or workload shop/repotr; did you mean shop/report?',
  })
})

test.each([
  [['check', 'nothing.yaml'], 'nothing.yaml:1:1: there is no such file'],
  [
    ['check', k8s, '--baseline', k8s],
    'expected what `kube2iam-sim check --format json` wrote: it is no JSON',
  ],
  [['check', k8s, '--iam', k8s], 'k8s.yaml:1:1: not valid JSON'],
  [['check', k8s, '--node-role', 'kube-node'], '--node-role:1:1: "kube-node" is not an IAM role'],
  [['check', roles], 'iam.json:1:1: expected a Kubernetes object with a kind'],
  [['check', k8s, '--form', 'json'], 'Unknown argument: form'],
  [['check', k8s, '--', '--defualt-role=x'], 'agent: --defualt-role'],
  [[], 'Name a command.'],
])('%j is wrong input: one message and exit status 2', async (args, message) => {
  const { status, out, err } = await sim(...args)
  expect({ status, out, err }).toEqual({ status: 2, out: '', err: expect.stringContaining(message) })
  expect(err.split('\n')).toHaveLength(1)
})
