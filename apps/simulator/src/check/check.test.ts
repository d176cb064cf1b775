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
  expect(out).toContain('**1 of 5 workloads change**, **1 for the worse**.')
  expect(out).toContain(
    '| ⚠️ | Deployment shop/web | 123456789012:role/shop-web | refused by STS: NoSuchRole (123456789012:role/shop-wbe) |',
  )
  expect((await check(changed, '--baseline', baseline, '--format', 'github')).out).toMatch(
    /^::error title=Deployment shop\/web::/,
  )
})

test('a new workload that will be refused, and shorter sessions, show against a baseline', async () => {
  const baseline = join(folder, 'before.json')
  await check(k8s, '--format', 'json', '-o', baseline)
  const pod = (role: string) =>
    `{kind: Pod, metadata: {name: new, namespace: shop, annotations: {iam.amazonaws.com/role: ${role}}}}`
  const refused = file('refused.yaml', `${manifests('shop-web')}---\n${pod('admin')}`)
  const json = await check(refused, '--baseline', baseline, '--format', 'json')
  expect(json.status).toBe(1)
  expect((JSON.parse(json.out) as { changes: unknown[] }).changes).toEqual([
    expect.objectContaining({ workload: 'Pod shop/new', kind: 'added', breaking: true }),
  ])
  const fine = file('fine.yaml', `${manifests('shop-web')}---\n${pod('shop-web')}`)
  expect((await check(fine, '--baseline', baseline)).status).toBe(0)
  const shorter = await sim(
    'check',
    '--iam',
    roles,
    '--node-role',
    NODE,
    k8s,
    '--baseline',
    baseline,
    '--',
    '--namespace-restrictions',
    '--session-duration=15m',
  )
  expect(shorter.status).toBe(0)
  expect(shorter.out).toContain('- Deployment shop/web: 123456789012:role/shop-web, 1h\n')
  expect(shorter.out).toContain('+ Deployment shop/web: 123456789012:role/shop-web, 15m')
})

test('a trust policy that cannot be judged is said to be so, and lets nobody in', async () => {
  const policy = {
    Statement: [
      { Effect: 'Allow', Principal: { AWS: NODE }, Action: 'sts:AssumeRole' },
      {
        Effect: 'Deny',
        Principal: '*',
        Action: 'sts:*',
        Condition: { StringNotEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } },
      },
    ],
  }
  const document = file(
    'org.json',
    JSON.stringify({
      Roles: [{ Arn: 'arn:aws:iam::123456789012:role/shop-web', AssumeRolePolicyDocument: policy }],
    }),
  )
  const pod = file(
    'org.yaml',
    '{kind: Pod, metadata: {name: a, namespace: s, annotations: {iam.amazonaws.com/role: shop-web}}}',
  )
  const judged = (...args: string[]) => sim('check', pod, '--iam', document, '--node-role', NODE, ...args)
  const unknown = await judged()
  expect(unknown.status).toBe(1)
  expect(unknown.out).toMatch(
    /Pod s\/a\s+not judged \(123456789012:role\/shop-web\)\s+✗\s+the trust policy hangs on what is not known here: Statement\[1\]: condition key aws:PrincipalOrgID/,
  )
  expect((await judged('--org-id', 'o-a1b2c3d4e5')).status).toBe(0)
  expect((await judged('--org-id', 'o-0000000000')).out).toContain('refused by STS: AccessDenied')
  const explained = await sim('explain', pod, '--iam', document, '--node-role', NODE, '--pod', 's/a')
  expect(explained).toMatchObject({ status: 1, out: expect.stringContaining('x trust policy: not judged') })
})

test.each([
  ['null', '', 'expected a trust policy'],
  ['{"Statement": 5}', '.Statement', 'expected a statement or a list'],
  [
    '{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole"}}',
    '.Statement',
    'expected Principal or NotPrincipal',
  ],
])('an IAM document with the trust policy %s is wrong input', async (policy, path, message) => {
  const document = file(
    'wrong-trust.json',
    `{"Roles": [{"Arn": "arn:aws:iam::123456789012:role/x", "AssumeRolePolicyDocument": ${policy}}]}`,
  )
  const { status, err } = await sim('check', k8s, '--iam', document, '--node-role', NODE)
  expect(status).toBe(2)
  expect(err).toContain(`wrong-trust.json:1:1: RoleDetailList[0].AssumeRolePolicyDocument${path}: ${message}`)
  expect(err.split('\n')).toHaveLength(1)
})

test('workloads of every kind are looked at, and what is not is named in every format', async () => {
  const pods = template('shop-web').replace('containers: []', 'containers: [{image: x}]')
  const others = file(
    'others.yaml',
    [
      `{kind: ReplicationController, metadata: {name: old}, spec: {template: ${pods}}}`,
      `{kind: Rollout, metadata: {name: canary, namespace: shop}, spec: {template: ${pods}}}`,
      `{kind: Job, metadata: {generateName: migrate-}, spec: {template: ${pods}}}`,
      `{kind: Workflow, metadata: {name: ci, namespace: shop}, spec: {templates: [{container: {image: y}}]}}`,
      '{kind: ConfigMap, metadata: {name: c}, data: {image: z}}',
    ].join('\n---\n'),
  )
  const table = await sim('check', others)
  for (const name of [
    'ReplicationController default/old',
    'Rollout shop/canary',
    'Job default/migrate-xxxxx',
  ]) {
    expect(table.out).toContain(name)
  }
  const said = '1 object that makes pods was not looked at: Workflow shop/ci.'
  expect(table.out).toContain(said)
  expect((await sim('check', others, '--format', 'markdown')).out).toContain(said)
  expect((await sim('check', others, '--format', 'github')).out).toContain(
    `::notice title=kube2iam-sim::${said}`,
  )
  expect(JSON.parse((await sim('check', others, '--format', 'json')).out)).toMatchObject({
    notLookedAt: ['Workflow shop/ci'],
    trustJudged: false,
  })
})

test('that trust policies were not looked at is said in every format for people', async () => {
  const notice = 'Trust policies were not looked at: give --iam and --node-role.'
  for (const format of ['table', 'markdown', 'github']) {
    expect((await sim('check', k8s, '--format', format)).out).toContain(notice)
    expect((await check(k8s, '--format', format)).out).not.toContain(notice)
  }
})

test('a folder stands for the manifests in it; what else lies there is left out and named', async () => {
  const mixed = mkdtempSync(join(folder, 'mixed-'))
  writeFileSync(join(mixed, 'k8s.yaml'), manifests('shop-web'))
  writeFileSync(join(mixed, 'scenario.yaml'), 'version: 1\nname: x\n')
  writeFileSync(join(mixed, 'kustomization.yaml'), 'kind: Kustomization\nresources: [k8s.yaml]\n')
  writeFileSync(join(mixed, 'package.json'), '{"name": "x"}')
  const { status, out, err } = await check(mixed)
  expect({ status, same: out === (await check(k8s)).out }).toEqual({ status: 1, same: true })
  expect(err).toBe(
    `kube2iam-sim: 3 files hold no Kubernetes objects that could be read: ${['kustomization.yaml', 'package.json', 'scenario.yaml'].map((name) => join(mixed, name)).join(', ')}`,
  )
})

test('explain takes the role by the name that the agent’s own explain has, and by the old one', async () => {
  const asking = (option: string) => sim('explain', k8s, '--pod', 'shop/web', option, 'other')
  const { out } = await asking('--role')
  expect(out).toContain('other')
  expect(await asking('--requested')).toEqual(await asking('--role'))
  expect((await sim('explain', '--help')).out).not.toContain('requested')
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
  expect((await plan('--namespace-restrictions=audit'))[2]).toMatch(/set --namespace-restrictions=enforce$/)
  expect((await plan())[2]).toMatch(
    /permitted nothing under kiam and allows this now; turn on --namespace-restrictions$/,
  )
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
  [['check', k8s, '--iam', k8s, '--node-role', NODE], 'k8s.yaml:1:1: not valid JSON'],
  [['check', k8s, '--iam', roles], 'kube2iam-sim: --iam needs --node-role'],
  [['check'], 'kube2iam-sim: Name manifests, a folder, or a scenario with --scenario.'],
  [['explain', '--pod', 'a/b'], 'kube2iam-sim: Name manifests, a folder'],
  [['check', k8s, '-o', '/nonexistent/f'], '--output /nonexistent/f: there is no folder /nonexistent.'],
  [['explain', k8s, '--pod', 'a/b', '--pod', 'a/c'], 'kube2iam-sim: --pod is given more than once.'],
  [
    ['check', k8s, '--baseline', file('null.json', '{"version": 1, "findings": [null]}')],
    'null.json:1:1: expected what `kube2iam-sim check --format json` wrote: findings[0] is no finding',
  ],
  [['check', k8s, '--node-role', 'kube-node'], '--node-role:1:1: "kube-node" is not an IAM role'],
  [['check', roles], 'iam.json:1:1: kind: expected a Kubernetes object with a kind'],
  [['check', k8s, '--form', 'json'], 'Unknown argument: form'],
  [['check', k8s, '--', '--defualt-role=x'], 'agent: --defualt-role'],
  [[], 'Name a command.'],
])('%j is wrong input: one message and exit status 2', async (args, message) => {
  const { status, out, err } = await sim(...args)
  expect({ status, out, err }).toEqual({ status: 2, out: '', err: expect.stringContaining(message) })
  expect(err.split('\n')).toHaveLength(1)
})
