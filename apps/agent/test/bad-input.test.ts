import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type AgentProcess,
  ask,
  askPatiently,
  ROLE_LIST,
  runBinary,
  runProgram,
  startAgent,
} from './support/agent-process.ts'
import { createWorld, type World } from './support/world.ts'

const ROLE = 'iam.amazonaws.com/role'
const LIVES = 30_000

describe('what cannot be is refused before anything is started: status 2 and one line', () => {
  test.each([
    [
      ['--app-port=70000'],
      {},
      /^kube2iam: --app-port "70000" is not a port: give a number from 1 to 65535\n$/,
    ],
    [
      ['--app-port=0'],
      {},
      /^kube2iam: --app-port "0" is a port that nobody could find: .*--ports-file with 0\n$/,
    ],
    [
      ['--base-role-arn=arn:aws:iam::123456789012:'],
      {},
      /^kube2iam: --base-role-arn ".*" is not a base role ARN: .*\n$/,
    ],
    [['--no-such-flag'], {}, /^kube2iam: --no-such-flag is no flag: .*\n$/],
    [['serve'], {}, /^kube2iam: "serve" is no command: kube2iam --help lists them\n$/],
    [
      ['--host-ip=10.0.0.1,10.0.0.2'],
      {},
      /^kube2iam: --host-ip holds "10\.0\.0\.2", which is a second IPv4 address: give one address of each.*\n$/,
    ],
    [['--iptables'], {}, /^kube2iam: --iptables needs to know where to send packets to: give --host-ip.*\n$/],
    [
      [],
      { KUBE2IAM_APP_PORT: 'x' },
      /^kube2iam: --app-port "x" is not a port: .* \(from KUBE2IAM_APP_PORT\)\n$/,
    ],
    [
      ['--config=/no/such/file'],
      {},
      /^kube2iam: --config "\/no\/such\/file" cannot be read \(ENOENT\): .*\n$/,
    ],
    [
      ['--kubeconfig=/no/such/file'],
      {},
      /^kube2iam: --kubeconfig: the kubeconfig \/no\/such\/file cannot be read: give .*\n$/,
    ],
    [
      ['--audit-log=/no/such/place/audit.jsonl', '--api-server=http://127.0.0.1:1'],
      {},
      /^kube2iam: --audit-log: \/no\/such\/place\/audit.jsonl cannot be opened \(ENOENT\): give .*\n$/,
    ],
    [
      ['--api-server=http://127.0.0.1:1'],
      { AWS_CA_BUNDLE: '/no/such/ca.pem' },
      /^kube2iam: AWS_CA_BUNDLE: \/no\/such\/ca.pem cannot be read \(ENOENT\): name .*\n$/,
    ],
    [
      [],
      {},
      /^kube2iam: --kubeconfig is not given, nor --api-server, and this is no pod: give one of them\n$/,
    ],
  ])('%j %j', async (args, env, line) => {
    const { code, stdout, stderr } = await runProgram(args, env)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(line)
  })

  test('of the real process', async () => {
    const { code, stdout, stderr } = await runBinary(['--app-port=70000'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe('kube2iam: --app-port "70000" is not a port: give a number from 1 to 65535\n')
  })

  describe('files', () => {
    let world: World
    beforeEach(async () => {
      world = await createWorld()
    })
    afterEach(() => world.close())

    test.each([
      ['no YAML', 'app-port: [', /^kube2iam: --config ".*" is not YAML at line \d+, column \d+: .*\n$/],
      ['no settings', '- 1', /^kube2iam: --config ".*" does not hold settings: .*\n$/],
      [
        'an unknown name',
        'app-prot: 1',
        /^kube2iam: --config "app-prot" is no setting: did you mean --app-port\?.*\n$/,
      ],
      [
        'a bad value',
        'app-port: 70000',
        /^kube2iam: --app-port "70000" is not a port: .*\(from app-port in .*\)\n$/,
      ],
      [
        'an unknown part of a rule',
        'rules: [{namespace: x}]',
        /^kube2iam: --config "rules\[0\].namespace" is no part of a rule: .*\n$/,
      ],
      [
        'a rule that cannot be',
        'rules: [{maxDurationSeconds: 5}]',
        /^kube2iam: --config cannot be followed: rules\[0\].maxDurationSeconds: .*\n$/,
      ],
      ['aliases without end', bomb(), /^kube2iam: --config ".*" repeats itself without end: .*\n$/],
    ])('a config file with %s', async (_what, text, line) => {
      writeFileSync(world.path('c.yaml'), text)
      const { code, stderr } = await runProgram([`--config=${world.path('c.yaml')}`])
      expect(stderr).toMatch(line)
      expect(code).toBe(2)
    })

    test.each([
      ['names no cluster', 'apiVersion: v1\nkind: Config\n'],
      [
        'names a context that is not there',
        'apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: []\nclusters: []\n',
      ],
      ['is no YAML', '{ not: [yaml'],
    ])('a kubeconfig that %s', async (_what, text) => {
      writeFileSync(world.path('kubeconfig'), text)
      const { code, stderr } = await runProgram([`--kubeconfig=${world.path('kubeconfig')}`])
      expect(stderr).toMatch(
        /^kube2iam: --kubeconfig: .*: give a kubeconfig whose current context names a cluster\n$/,
      )
      expect(code).toBe(2)
    })
  })
})

describe('what goes wrong later is refused to whom it concerns, said in the log, and the others are served', () => {
  let world: World
  let agent: AgentProcess | undefined

  beforeEach(async () => {
    world = await createWorld()
    world.addRole('good')
    world.addPod({ name: 'good', ip: '127.44.0.1', annotations: { [ROLE]: 'good' } })
  })
  afterEach(async () => {
    await agent?.stop('SIGKILL')
    agent = undefined
    await world.close()
  })

  const expectGood = async (port: number) => {
    const from = '127.44.0.1'
    expect(await askPatiently(port, ROLE_LIST, { from })).toMatchObject({ status: 200, body: 'good' })
    expect(await askPatiently(port, `${ROLE_LIST}good`, { from })).toMatchObject({ status: 200 })
  }

  test('annotations that are none, and an STS that refuses', { timeout: LIVES }, async () => {
    world.api.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'broken', annotations: { 'iam.amazonaws.com/allowed-roles': '{"not": "a list"}' } },
    })
    world.api.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default', annotations: { 'iam.amazonaws.com/allowed-roles': '["*"]' } },
    })
    world.addRole('untrusting', { Statement: { Effect: 'Deny', Principal: '*', Action: '*' } })
    const bad = [
      {
        name: 'nonsense',
        ip: '127.44.0.2',
        annotations: { [ROLE]: 'not a role!' },
        status: 404,
        code: 'annotation-invalid',
      },
      { name: 'empty', ip: '127.44.0.3', annotations: { [ROLE]: '' }, status: 404, code: 'annotation-empty' },
      {
        name: 'half',
        ip: '127.44.0.4',
        annotations: { [ROLE]: 'arn:aws:iam::1:role/x' },
        status: 404,
        code: 'annotation-invalid',
      },
      {
        name: 'in-broken',
        namespace: 'broken',
        ip: '127.44.0.5',
        annotations: { [ROLE]: 'good' },
        status: 404,
        code: 'namespace-annotation-invalid',
      },
    ]
    for (const { status: _status, code: _code, ...pod } of bad) world.addPod(pod)
    world.addPod({ name: 'untrusted', ip: '127.44.0.6', annotations: { [ROLE]: 'untrusting' } })
    world.addPod({ name: 'no-such-role', ip: '127.44.0.7', annotations: { [ROLE]: 'nowhere' } })
    agent = await startAgent(world, ['--namespace-restrictions'])
    await agent.logged('ready')

    for (const { name, namespace = 'default', ip, status, code } of bad) {
      expect(await ask(agent.port, ROLE_LIST, { from: ip }), name).toMatchObject({ status, body: '' })
      const line = await agent.logged('role denied', (said) => said['pod'] === `${namespace}/${name}`)
      expect(line, name).toMatchObject({ level: 'warn', code, message: expect.stringMatching(/\w{3}/) })
    }
    for (const [name, ip, role] of [
      ['untrusted', '127.44.0.6', 'untrusting'],
      ['no-such-role', '127.44.0.7', 'nowhere'],
    ]) {
      const answer = await askPatiently(agent.port, `${ROLE_LIST}${role}`, { from: ip })
      expect(answer.status, name).toBe(200)
      expect(JSON.parse(answer.body), name).toMatchObject({ Code: 'AssumeRoleUnauthorizedAccess' })
      await agent.logged('STS refuses a session', (said) => String(said['pods']).includes(`default/${name}`))
    }
    await expectGood(agent.port)
    await expect
      .poll(() => new Set((world.api.list('Event') as { reason?: string }[]).map(({ reason }) => reason)))
      .toEqual(
        new Set([
          'RoleAnnotationInvalid',
          'RoleAnnotationEmpty',
          'NamespaceRolesInvalid',
          'AssumeRoleDenied',
        ]),
      )
    expect((await agent.stop()).code).toBe(0)
  })

  test('an STS that answers rubbish, then hangs, then is there again', { timeout: LIVES }, async () => {
    world.sts.faults.rubbish = 'html'
    agent = await startAgent(world)
    const from = '127.44.0.1'
    expect(await ask(agent.port, `${ROLE_LIST}good`, { from })).toMatchObject({ status: 503, body: '' })
    await agent.logged('no session can be had now', ({ code }) => code === 'STS_BAD_ANSWER')
    world.sts.faults.rubbish = undefined
    world.sts.faults.hang = true
    expect(await ask(agent.port, `${ROLE_LIST}good`, { from })).toMatchObject({ status: 503, body: '' })
    expect(await askPatiently(agent.port, ROLE_LIST, { from })).toMatchObject({ status: 200, body: 'good' })
    world.sts.faults.hang = false
    const stopped = await agent.stop()
    expect(stopped.code).toBe(0)
    expect(stopped.tookMs).toBeLessThan(5_000)
  })

  test('a ports file that cannot be written ends the agent, and says which', { timeout: LIVES }, async () => {
    const args = world.args.filter((arg) => !arg.startsWith('--ports-file='))
    const { code, stderr } = await runBinary(
      [...args, '--ports-file=/no/such/directory/ports.json'],
      world.env,
    )
    expect(code).toBe(1)
    expect(stderr).toContain('the ports file cannot be written')
    expect(stderr).toMatch(/"path":"\/no\/such\/directory\/ports.json"/)
    expect(stderr).toContain('"msg":"stopped"')
  })

  test('a request that takes longer than most is waited for as long as asked', {
    timeout: LIVES,
  }, async () => {
    agent = await startAgent(world, ['--shutdown-timeout=5500ms', '--pod-wait=30s'])
    await agent.logged('ready')
    const waiting = ask(agent.port, ROLE_LIST, { from: '127.44.0.99' }).catch(() => undefined)
    const { statusPort } = agent
    await expect
      .poll(async () => (await ask(statusPort, '/metrics')).body)
      .toContain('kube2iam_lookups_waiting 1')
    const stopped = await agent.stop()
    expect(stopped.code).toBe(0)
    expect(stopped.tookMs).toBeGreaterThan(5_200)
    expect(agent.log.some(({ msg }) => msg === 'the agent did not stop in time')).toBe(false)
    await waiting
  })

  test('a metadata service that is not there', { timeout: LIVES }, async () => {
    world.addPod({
      name: 'whole-arn',
      ip: '127.44.0.8',
      annotations: { [ROLE]: 'arn:aws:iam::123456789012:role/good' },
    })
    // Nobody listens on port 1 of loopback.
    agent = await startAgent(world, ['--metadata-addr=127.0.0.1:1'], {
      AWS_ACCESS_KEY_ID: world.instance.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: world.instance.credentials.secretAccessKey,
      AWS_SESSION_TOKEN: world.instance.credentials.sessionToken,
    })
    await agent.logged('the metadata service did not say')
    await agent.logged('ready')
    expect(await askPatiently(agent.port, `${ROLE_LIST}good`, { from: '127.44.0.8' })).toMatchObject({
      status: 200,
    })
    expect(await ask(agent.port, ROLE_LIST, { from: '127.44.0.1' })).toMatchObject({ status: 404, body: '' })
    await agent.logged('role denied', ({ code }) => code === 'base-arn-missing')
    const region = '/latest/meta-data/placement/region'
    expect(await ask(agent.port, region, { from: '127.44.0.1' })).toMatchObject({ status: 503 })
  })

  test('an API server that refuses the token, and then takes it', { timeout: LIVES }, async () => {
    world.api.setToken('the right one')
    agent = await startAgent(world)
    await agent.logged('watch lost touch', ({ code }) => code === 'FEED_FORBIDDEN')
    const ready = await ask(agent.statusPort, '/readyz')
    expect(ready.status).toBe(503)
    expect(ready.body).toContain('the API server has not answered yet')
    expect((await ask(agent.statusPort, '/healthz')).status).toBe(200)
    expect(await ask(agent.port, ROLE_LIST, { from: '127.44.0.1' })).toMatchObject({ status: 503, body: '' })
    world.api.setToken(undefined)
    await agent.logged('ready')
    await expectGood(agent.port)
  })
})

/** Nine levels of nine aliases each. */
function bomb(): string {
  const levels = ['a: &a [x, x]']
  for (let level = 0; level < 9; level += 1) {
    const [name, before] = ['bcdefghij'[level], 'abcdefghi'[level]]
    levels.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`)
  }
  return levels.join('\n')
}
