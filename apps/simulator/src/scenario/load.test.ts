import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { keyOf } from '../cluster/objects.ts'
import { loadScenario, parseScenario } from './load.ts'
import { ProblemsError } from './problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'kube2iam-sim-load-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function problemsOf(text: string): readonly string[] {
  try {
    parseScenario(text, join(folder, 's.yaml'))
    return []
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error
    return error.message.split('\n').map((line) => line.replace(`${folder}/`, ''))
  }
}

const head = 'version: 1\nname: x\n'

test('a short pod stands for a whole one, and its namespace exists', () => {
  const { objects } = parseScenario(`${head}cluster: {pods: {shop/web: {ip: 10.0.0.7, role: app}}}`, 's.yaml')
  expect(objects.map((object) => `${object.kind} ${keyOf(object)}`)).toEqual([
    'Namespace shop',
    'Pod shop/web',
  ])
  expect(objects[1]).toMatchObject({
    metadata: { annotations: { 'iam.amazonaws.com/role': 'app' } },
    status: { podIP: '10.0.0.7', podIPs: [{ ip: '10.0.0.7' }], phase: 'Running' },
  })
})

test.each([
  [
    'an unknown key',
    `${head}stepz: []`,
    's.yaml:3:1: stepz: there is no key "stepz" here; did you mean steps?',
  ],
  [
    'a key far from any',
    `${head}zzz: 1`,
    's.yaml:3:1: zzz: there is no key "zzz" here; the keys are version,',
  ],
  ['a wrong type', `${head}steps: 7`, 's.yaml:3:8: steps: expected a list of step (one of request,'],
  [
    'a wrong type deep inside',
    `${head}steps:\n  - advance: soon`,
    's.yaml:4:14: steps[0].advance: expected a duration such as 900ms, 45m or 1h30m, found "soon"',
  ],
  [
    'time without a unit',
    `${head}steps:\n  - advance: 45`,
    's.yaml:4:14: steps[0].advance: expected a duration such as 900ms, 45m or 1h30m, found 45; a number needs a unit: 45s or 45m',
  ],
  [
    'impossible time',
    `${head}steps:\n  - advance: 99999d`,
    's.yaml:4:14: steps[0].advance: expected a duration such as 900ms, 45m or 1h30m, found "99999d"; at most 31d',
  ],
  [
    'time that runs backwards',
    `${head}steps:\n  - advance: -5m`,
    's.yaml:4:14: steps[0].advance: expected a duration',
  ],
  [
    'a dangling pod',
    `${head}cluster: {pods: {a/web: {ip: 10.0.0.7}}}\nsteps:\n  - request: {pod: a/wep}`,
    's.yaml:5:20: steps[0].request.pod: no pod a/wep exists at this step; did you mean a/web?',
  ],
  [
    'a pod that was deleted',
    `${head}cluster: {pods: {a/web: {ip: 10.0.0.7}}}\nsteps:\n  - delete: {pods: a/web}\n  - request: {pod: a/web}`,
    's.yaml:6:20: steps[1].request.pod: no pod a/web exists at this step; the cluster has no pods',
  ],
  [
    'two things in one step',
    `${head}steps:\n  - advance: 1s\n    rule: flush`,
    's.yaml:5:5: steps[0]: advance and rule cannot stand in one step; write two',
  ],
  [
    'an expectation without a request',
    `${head}steps:\n  - advance: 1s\n    expect: {status: 200}`,
    's.yaml:4:5: steps[0].expect: expect belongs to a request',
  ],
  [
    'a role that is none',
    `${head}aws: {roles: {'a b': {}}}`,
    's.yaml:3:15: aws.roles.a b: "a b" is not an IAM role',
  ],
  [
    'a file that is not there',
    `${head}cluster: {manifests: nothing/*.yaml}`,
    's.yaml:3:22: cluster.manifests: there is no file nothing/*.yaml',
  ],
  [
    'another version',
    'version: 2\nname: x',
    "s.yaml:1:10: version: expected the format's version, 1, found 2",
  ],
  [
    'an address that is none',
    `${head}cluster: {pods: {a/web: {ip: 10.0.0.777}}}`,
    's.yaml:3:30: cluster.pods.a/web.ip: expected an IPv4 or IPv6 address, found "10.0.0.777"',
  ],
  [
    'a source address that is none',
    `${head}cluster: {pods: {a/web: {ip: 10.0.0.7}}}\nsteps:\n  - request: {pod: a/web, from: nowhere}`,
    's.yaml:5:33: steps[0].request.from: expected an IPv4 or IPv6 address, found "nowhere"',
  ],
  [
    'a pod that Kubernetes would not take',
    `${head}cluster: {pods: {shöp/wéb: {ip: 10.0.0.7}}}`,
    's.yaml:3:18: cluster.pods.shöp/wéb: expected namespace/name as the key, found "shöp/wéb"',
  ],
  [
    'the same at a step',
    `${head}steps:\n  - apply: {pods: {shöp/wéb: {ip: 10.0.0.7}}}`,
    's.yaml:4:20: steps[0].apply.pods.shöp/wéb: expected namespace/name as the key, found "shöp/wéb"',
  ],
  [
    'an applied manifest with a wrong address',
    `${head}steps:\n  - apply: {manifest: {kind: Pod, metadata: {name: a}, status: {podIP: hello}}}`,
    's.yaml:4:5: steps[0].apply.manifest.status.podIP: expected an IPv4 or IPv6 address',
  ],
  [
    'a trust policy that is none',
    `${head}aws: {roles: {app: {trust: {Statement: 5}}}}`,
    's.yaml:3:28: aws.roles.app.trust.Statement: expected a statement or a list of statements',
  ],
  [
    'an agent’s setting',
    `${head}agent:\n  settings:\n    namespace-restrictions: true\n    app-port: 70000`,
    's.yaml:6:5: agent.settings.app-port: --app-port "70000" is not a port',
  ],
  [
    'an agent’s argument',
    `${head}agent:\n  args:\n    - --namespace-restrictions\n    - --app-port=70000`,
    's.yaml:6:7: agent.args[1]: --app-port "70000" is not a port',
  ],
  [
    'an agent’s variable',
    `${head}agent:\n  env:\n    KUBE2IAM_APP_PORT: 70000`,
    's.yaml:5:5: agent.env.KUBE2IAM_APP_PORT: --app-port "70000" is not a port',
  ],
  ['an agent’s rules', `${head}agent:\n  rules: 7`, 's.yaml:4:10: agent.rules: '],
  ['an organization', `${head}aws: {orgId: 7}`, 's.yaml:3:14: aws.orgId: expected the ID of an organization'],
  ['a missing key', 'version: 1', 's.yaml:1:1: name is missing: expected text'],
  ['no YAML', `${head}steps: [`, 's.yaml:3:9: not valid YAML: '],
  ['a key twice', `${head}name: y`, 's.yaml:3:1: not valid YAML: Map keys must be unique'],
  ['nothing', '', 's.yaml:1:1: the file is empty'],
  ['two documents', `${head}---\n${head}`, 's.yaml:4:1: one file holds one scenario'],
  ['no anchor', `${head}steps: *nowhere`, 's.yaml:3:8: the alias *nowhere has no anchor'],
])('%s is refused with its place', (_what, text, expected) => {
  const [first = '', ...others] = problemsOf(text)
  expect(first.slice(0, expected.length)).toBe(expected)
  expect(others).toEqual([])
})

test('every problem is told at once', () => {
  expect(problemsOf(`${head}steps:\n  - advance: soon\n  - rule: flosh\n`)).toEqual([
    expect.stringContaining('s.yaml:4:14'),
    's.yaml:5:11: steps[1].rule: expected one of flush, flush-all, found "flosh"; did you mean flush?',
  ])
})

test('a file that is too large is refused before it is read', () => {
  const file = join(folder, 'huge.yaml')
  writeFileSync(file, Buffer.alloc(2_000_000, 0x20))
  expect(() => loadScenario(file)).toThrow(
    `${file}:1:1: the file has 2000000 bytes; at most 1048576 are read`,
  )
})

test('aliases that multiply are stopped', () => {
  const levels = Array.from(
    { length: 9 },
    (_, level) => `  l${level + 1}: &l${level + 1} [${Array(10).fill(`*l${level}`).join(', ')}]`,
  )
  const [problem] = problemsOf(`${head}aws:\n  l0: &l0 boom\n${levels.join('\n')}\n`)
  expect(problem).toMatch(/^s\.yaml:\d+:\d+: it expands to more than 200000 values/)
})

test('nesting without end is stopped', () => {
  expect(problemsOf(`${head}steps: ${'['.repeat(50_000)}`)[0]).toMatch(
    /^s\.yaml:\d+:\d+: (it is nested|not valid YAML)/,
  )
})

test('manifests and IAM documents are read from the files that patterns name', () => {
  writeFileSync(
    join(folder, 'pods.yaml'),
    'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n}}\n---\nkind: Namespace\nmetadata: {name: n}\n',
  )
  writeFileSync(
    join(folder, 'iam.json'),
    JSON.stringify({
      RoleDetailList: [
        {
          Arn: 'arn:aws:iam::123456789012:role/x',
          AssumeRolePolicyDocument: encodeURIComponent('{"Statement":[]}'),
          MaxSessionDuration: 7200,
        },
      ],
    }),
  )
  const { objects, aws, files } = parseScenario(
    `${head}cluster: {manifests: 'p*.yaml'}\naws: {iam: iam.json}`,
    join(folder, 's.yaml'),
  )
  expect(objects.map(keyOf)).toEqual(['n/a', 'n'])
  expect(aws.roles).toMatchObject([
    { arn: { name: 'x' }, trustPolicy: { Statement: [] }, maxSessionDurationSeconds: 7200 },
  ])
  expect(files).toHaveLength(3)
})

test.each([
  ['{kind: Pod, metadata: {name: a}, status: {podIP: hello}}', 'bad.yaml:1:50: status.podIP'],
  [
    '{kind: Pod, metadata: {name: a}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 1}]}}',
    'bad.yaml:1:73: status.podIPs[1].ip',
  ],
  ['{"kind": "Pod", "metadata": {"name": "a"}, "status": {"podIP": "x"}}', 'bad.yaml:1:1: status.podIP'],
  ['{kind: Pod, metadata: {name: wéb}}', 'bad.yaml:1:30: metadata.name'],
  [
    '{kind: List, items: [{kind: Pod, metadata: {name: a, namespace: A}}]}',
    'bad.yaml:1:65: items[0].metadata.namespace',
  ],
])('the manifest %s is refused at its place', (text, place) => {
  writeFileSync(join(folder, 'bad.yaml'), text)
  const [problem = '', ...others] = problemsOf(`${head}cluster: {manifests: bad.yaml}`)
  expect(problem).toContain(`${place}: expected`)
  expect(others).toEqual([])
})

test('a manifest with an annotation that is no text is refused at its place', () => {
  writeFileSync(
    join(folder, 'bad.yaml'),
    'kind: Pod\nmetadata:\n  name: a\n  annotations:\n    iam.amazonaws.com/role: 7\n',
  )
  expect(problemsOf(`${head}cluster: {manifests: bad.yaml}`)).toEqual([
    'bad.yaml:5:29: metadata.annotations.iam.amazonaws.com/role: expected text: Kubernetes takes no other values here, write it in quotes',
  ])
})

test('the agent’s arguments come from a DaemonSet as the kubelet would pass them', () => {
  writeFileSync(
    join(folder, 'ds.yaml'),
    JSON.stringify({
      kind: 'DaemonSet',
      metadata: { name: 'kube2iam' },
      spec: {
        template: {
          spec: {
            containers: [
              {
                image: 'example/kube2iam',
                args: [
                  '--host-ip=$(HOST_IP)',
                  '--bind-address=$(HOST_IPS)',
                  '--node=$(NODE_NAME)',
                  '--verbose',
                ],
                env: [
                  { name: 'HOST_IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
                  { name: 'HOST_IPS', valueFrom: { fieldRef: { fieldPath: 'status.hostIPs' } } },
                  { name: 'LITERAL', value: '$$(HOST_IP)' },
                  { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
                ],
              },
            ],
          },
        },
      },
    }),
  )
  const { args, env } = parseScenario(`${head}agent: {daemonset: ds.yaml}`, join(folder, 's.yaml')).agent
  expect(env['LITERAL']).toBe('$(HOST_IP)')
  expect(args).toEqual([
    '--host-ip=10.0.0.1',
    '--bind-address=10.0.0.1,fd00::1',
    '--node=node-1',
    '--verbose',
  ])
})

test('the library’s first scenario is read without a problem', () => {
  const scenario = loadScenario(join(import.meta.dirname, '../../scenarios/01-kinds-of-pods.yaml'))
  expect(scenario.steps.length).toBeGreaterThan(13)
})
