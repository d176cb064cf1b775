import { parseIpAddress } from '@kube2iam-ts/core'
import { describe, expect, test } from 'vitest'
import { flagRows } from './flags.ts'
import { explainProblems } from './problem.ts'
import { type AgentSettings, parseSettings, type SettingsSources } from './settings.ts'

function settingsOf(sources: SettingsSources): AgentSettings {
  const parsed = parseSettings(sources)
  if (parsed.kind !== 'settings') throw new Error(JSON.stringify(parsed))
  return parsed.settings
}

function refusal(args: string[], more: Omit<SettingsSources, 'args'> = {}): string {
  const parsed = parseSettings({ args, ...more })
  return parsed.kind === 'invalid' ? explainProblems(parsed.problems) : parsed.kind
}

/** What `kube2iam --help` of jtblin/kube2iam 0.15 lists, with its defaults. */
const KUBE2IAM = {
  'api-server': '',
  'api-token': '',
  'app-port': '8181',
  'auto-discover-base-arn': 'false',
  'auto-discover-default-role': 'false',
  'backoff-max-elapsed-time': '2s',
  'backoff-max-interval': '1s',
  'base-role-arn': '',
  'cache-resync-period': '30m0s',
  debug: 'false',
  'default-role': '',
  'host-interface': 'docker0',
  'host-ip': '',
  'iam-external-id': 'iam.amazonaws.com/external-id',
  'iam-role-error-ttl': '0s',
  'iam-role-key': 'iam.amazonaws.com/role',
  'iam-role-session-ttl': '15m0s',
  insecure: 'false',
  iptables: 'false',
  kubeconfig: '',
  'log-format': 'text',
  'log-level': 'info',
  'metadata-addr': '169.254.169.254',
  'metrics-port': '8181',
  'namespace-key': 'iam.amazonaws.com/allowed-roles',
  'namespace-restriction-format': 'glob',
  'namespace-restrictions': 'false',
  node: '',
  'resolve-duplicate-cache-ips': 'false',
  'use-regional-sts-endpoint': 'false',
  verbose: 'false',
  version: 'false',
}

describe('the table', () => {
  test('has every flag of kube2iam 0.15 with its default, or another default with a reason', () => {
    const ours = flagRows
      .filter(([, flag]) => flag.kube2iam !== undefined)
      .map(([, flag]) => [flag.name, flag.kube2iam?.default ?? flag.default])
    expect(Object.fromEntries(ours)).toEqual(KUBE2IAM)
    for (const [, flag] of flagRows) {
      if (flag.kube2iam?.default !== undefined) expect(flag.kube2iam.difference, flag.name).toMatch(/\w{3}/)
    }
  })

  test('has unique names, sentences as documentation, and defaults that its own kinds accept', () => {
    const names = flagRows.map(([, flag]) => flag.name)
    expect(new Set(names).size).toBe(names.length)
    for (const [, flag] of flagRows) {
      expect(flag.doc, flag.name).toMatch(/^([A-Z]|kiam).*\.$/)
      expect(flag.kind.parse(flag.default), flag.name).toMatchObject({ ok: true })
    }
  })
})

describe('the command line', () => {
  test('reads an existing DaemonSet as it stands', () => {
    const settings = settingsOf({
      args: [
        '--base-role-arn=arn:aws:iam::123456789012:role/',
        '--iptables=true',
        '--host-ip=10.0.3.17',
        '--host-interface=eni+',
        '--node=ip-10-0-3-17.ec2.internal',
        '--namespace-restrictions',
        '--iam-role-session-ttl=30m0s',
        '--default-role',
        'fallback',
        '--verbose',
        '--app-port=8181',
        '--metrics-port=9543',
      ],
    })
    expect(settings).toMatchObject({
      iptables: true,
      hostIps: ['10.0.3.17'],
      hostInterface: 'eni+',
      namespaceRestrictions: 'enforce',
      iamRoleSessionTtl: 1_800_000,
      defaultRole: 'fallback',
      verbose: true,
      appPort: 8181,
      metricsPort: 9543,
    })
    expect(settings.baseRoleArn?.account).toBe('123456789012')
  })

  test('needs nothing', () => {
    expect(settingsOf({ args: [] })).toMatchObject({ appPort: 8181, metadataAddr: { port: 80 }, given: {} })
  })

  test('takes a value in the next argument, except for booleans', () => {
    const settings = settingsOf({ args: ['--app-port', '9000', '--debug', '--log-format', 'JSON'] })
    expect(settings).toMatchObject({ appPort: 9000, debug: true, logFormat: 'json' })
    expect(settingsOf({ args: ['--debug=false', '--insecure=F'] })).toMatchObject({ debug: false })
  })

  test('lets the last of a repeated flag count, and adds up lists', () => {
    const settings = settingsOf({
      args: ['--app-port=1', '--app-port=2', '--metadata-allow=region,spot', '--metadata-allow=tags'],
    })
    expect(settings.appPort).toBe(2)
    expect(settings.metadataAllow).toEqual(['region', 'spot', 'tags'])
  })

  test.each([
    [['--host-ip=10.0.0.1,fd00::1']],
    [['--host-ip=10.0.0.1', '--host-ip', 'fd00::1']],
    [['--host-ip=10.0.0.1, fd00::1, ::ffff:10.0.0.1']],
  ])('takes an address of each family: %j', (args) => {
    const { hostIps } = settingsOf({ args })
    expect(hostIps.map(parseIpAddress)).toEqual(['10.0.0.1', 'fd00::1'])
    const bind = args.map((arg) => arg.replace('host-ip', 'bind-address'))
    expect(settingsOf({ args: bind }).bindAddresses).toEqual(hostIps)
  })

  test('takes an empty value for unset where kube2iam does', () => {
    expect(settingsOf({ args: ['--default-role=', '--base-role-arn=', '--host-ip='] })).toMatchObject({
      defaultRole: undefined,
      hostIps: [],
    })
  })

  test('distinguishes booleans that are absent, true and false where that is three things', () => {
    expect(settingsOf({ args: [] }).useRegionalStsEndpoint).toBeUndefined()
    expect(settingsOf({ args: ['--use-regional-sts-endpoint'] }).useRegionalStsEndpoint).toBe(true)
    expect(settingsOf({ args: ['--use-regional-sts-endpoint=false'] }).useRegionalStsEndpoint).toBe(false)
  })
})

describe('--host-interface', () => {
  test.each(['docker0', 'cali+', '!eth0', 'auto', 'eni+,vlan+', 'cali12345678901'])('takes %s', (value) => {
    expect(settingsOf({ args: [`--host-interface=${value}`] }).hostInterface).toBe(value)
  })

  test.each(['eni+,', ',eni+', 'e+ni', '!eni+,vlan+', 'eni+,!vlan+', 'eth 0', 'cali123456789012'])(
    'refuses %s',
    (value) => {
      expect(refusal([`--host-interface=${value}`])).toMatch(/^--host-interface ".*" is not an interface: /)
    },
  )
})

describe('where settings come from', () => {
  test('the command line wins over the environment, and that over the file', () => {
    const settings = settingsOf({
      args: ['--app-port=1'],
      environment: { KUBE2IAM_APP_PORT: '2', KUBE2IAM_METRICS_PORT: '3', OTHER: 'x' },
      file: { path: '/etc/k.yaml', document: { 'app-port': 4, 'metrics-port': 5, 'log-format': 'json' } },
    })
    expect(settings).toMatchObject({ appPort: 1, metricsPort: 3, logFormat: 'json' })
    expect(settings.given).toEqual({ appPort: 'flag', metricsPort: 'environment', logFormat: 'file' })
  })

  test('the file holds text, numbers, booleans and lists, and rules beside', () => {
    const rules = [{ namespaces: ['a*'] }]
    const document = { debug: true, 'pod-wait': '500ms', 'metadata-allow': ['region', 'spot'], rules }
    const settings = settingsOf({ args: [], file: { path: 'f', document } })
    expect(settings).toMatchObject({ debug: true, podWait: 500, metadataAllow: ['region', 'spot'], rules })
  })

  test('variables that Kubernetes makes for a Service named kube2iam are no settings', () => {
    const environment = {
      KUBE2IAM_PORT: 'tcp://10.0.0.9:8181',
      KUBE2IAM_PORT_8181_TCP: 'tcp://10.0.0.9:8181',
      KUBE2IAM_PORT_8181_TCP_ADDR: '10.0.0.9',
      KUBE2IAM_PORT_8181_TCP_PORT: '8181',
      KUBE2IAM_PORT_8181_TCP_PROTO: 'tcp',
      KUBE2IAM_SERVICE_HOST: '10.0.0.9',
      KUBE2IAM_SERVICE_PORT: '8181',
      KUBE2IAM_SERVICE_PORT_HTTP: '8181',
      KUBE2IAM_METRICS_PORT: 'tcp://10.0.0.10:9543',
    }
    expect(settingsOf({ args: [], environment }).given).toEqual({})
  })
})

describe('a refusal is one line that names the flag, what is wrong and what is right', () => {
  test.each([
    [['--ap-port=1'], '--ap-port is no flag: did you mean --app-port? kube2iam --help lists them all'],
    [['--frobnicate', 'x'], '--frobnicate is no flag: kube2iam --help lists them all'],
    [['--app-port=70000'], '--app-port "70000" is not a port: give a number from 1 to 65535'],
    [['--app-port=http'], '--app-port "http" is not a port: give a number from 1 to 65535'],
    [
      ['--app-port=0'],
      '--app-port "0" is a port that nobody could find: give a number from 1 to 65535, or --ports-file with 0',
    ],
    [['--app-port'], '--app-port has no value: write --app-port=port'],
    [['--debug', 'false'], '--debug does not take "false": write --debug=false'],
    [['--debug=no'], '--debug "no" is not a boolean: give true or false'],
    [['-debug'], '-debug is no flag: write it with two dashes, --debug'],
    [['serve'], '"serve" is neither a command nor a flag: kube2iam --help lists both'],
    [
      ['--base-role-arn=arn:aws:iam::123456789012:'],
      '--base-role-arn "arn:aws:iam::123456789012:" is not a base role ARN: give one such as arn:aws:iam::123456789012:role/',
    ],
    [['--pod-wait=15'], '--pod-wait "15" is not a duration: give one such as 900ms, 15m0s or 1h30m'],
    [
      ['--shutdown-timeout=14s'],
      '--shutdown-timeout "14s" is out of range: give a duration from 100ms to 13s',
    ],
    [
      ['--session-duration=500s'],
      '--session-duration "500s" is out of range: give a duration from 15m0s to 12h0m0s',
    ],
    [
      ['--session-duration=50000s'],
      '--session-duration "50000s" is out of range: give a duration from 15m0s to 12h0m0s',
    ],
    [
      ['--iam-role-session-ttl=7m'],
      '--iam-role-session-ttl "7m" is out of range: give a duration from 7m30s to 6h0m0s',
    ],
    [['--log-level=loud'], /^--log-level "loud" is none of trace, debug/],
    [
      ['--namespace-restrictions=maybe'],
      '--namespace-restrictions "maybe" is none of off, audit, enforce: give one of off, audit, enforce, true or false',
    ],
    [
      ['--allow-cidr=10.0.0.0/8,10.0.0.0/40'],
      '--allow-cidr holds "10.0.0.0/40", which is not an address range: give one such as 10.0.0.0/8',
    ],
    [['--default-role=a b'], /^--default-role "a b" is not a role: give a role name, or an ARN/],
    [['--api-server=ftp://x'], /^--api-server "ftp:\/\/x" is not an https or http URL: /],
    [['--metadata-addr=x:0'], /^--metadata-addr "x:0" is not an address: /],
    [
      ['--auto-discover-base-arn', '--base-role-arn=arn:aws:iam::123456789012:role/'],
      '--auto-discover-base-arn cannot be used when --base-role-arn is given: remove one of the two',
    ],
    [
      ['--auto-discover-default-role', '--default-role=a'],
      '--auto-discover-default-role cannot be used when --default-role is given: remove one of the two',
    ],
    [
      ['--host-ip=10.0.0.1,10.0.0.2'],
      /^--host-ip holds "10\.0\.0\.2", which is a second IPv4 address: give one/,
    ],
    [
      ['--host-ip=10.0.0.1', '--host-ip=::ffff:10.0.0.2'],
      /holds "::ffff:10\.0\.0\.2", which is a second IPv4/,
    ],
    [
      ['--bind-address=fd00::1,fd00::2'],
      /^--bind-address holds "fd00::2", which is a second IPv6 address: give/,
    ],
    [
      ['--host-ip=10.0.0.1,node-1'],
      /^--host-ip holds "node-1", which is not an IP address: give one such as/,
    ],
    [['--iptables'], /^--iptables needs to know where to send packets to: give --host-ip/],
    [['--node-taint=a/b'], /^--node-taint needs to know which node it is: give --node/],
    [['--api-token=t'], '--api-token is a token for no server: give --api-server too, or remove it'],
    [
      ['--api-token-file=/t'],
      '--api-token-file is a token for no server: give --api-server too, or remove it',
    ],
    [
      ['--api-server=https://x', '--api-token-file=/t', '--api-token=t'],
      '--api-token-file cannot be used when --api-token is given: remove one of the two',
    ],
    [
      ['--api-server-ca-file=/ca'],
      '--api-server-ca-file is the authority of no server: give --api-server too, or remove it',
    ],
    [
      ['--api-server=https://x', '--api-server-ca-file=/ca', '--insecure'],
      '--api-server-ca-file verifies nothing when --insecure is given: remove one of the two',
    ],
    [['--app-port=x', '--metrics-port=y'], /\[and 1 more\]$/],
  ])('%j', (args, line) => {
    const said = refusal(args)
    if (typeof line === 'string') expect(said).toBe(line)
    else expect(said).toMatch(line)
    expect(said).not.toContain('\n')
  })

  test('it says where the value came from when that was not the command line', () => {
    expect(refusal([], { environment: { KUBE2IAM_APP_PORT: 'x' } })).toBe(
      '--app-port "x" is not a port: give a number from 1 to 65535 (from KUBE2IAM_APP_PORT)',
    )
    expect(refusal([], { file: { path: 'k.yaml', document: { 'app-port': 'x' } } })).toBe(
      '--app-port "x" is not a port: give a number from 1 to 65535 (from app-port in k.yaml)',
    )
  })

  test('unknown variables and keys are refused', () => {
    expect(refusal([], { environment: { KUBE2IAM_APPPORT: '1' } })).toBe(
      'KUBE2IAM_APPPORT is the environment variable of no flag: did you mean --app-port? kube2iam --help lists them all',
    )
    const file = (document: unknown) => ({ file: { path: 'k.yaml', document } })
    expect(refusal([], file({ appPort: 1 }))).toMatch(
      /^--config "appPort" is no setting: did you mean --app-port/,
    )
    expect(refusal([], file({ version: true }))).toMatch(/^--config "version" is no setting: give it on the/)
    expect(refusal([], file(['a']))).toMatch(/^--config "k.yaml" does not hold settings/)
    expect(refusal([], file({ rules: 'x' }))).toMatch(/^--config "rules" is not a list/)
    expect(refusal([], file({ 'app-port': { a: 1 } }))).toMatch(/^--app-port has a value that is neither/)
    expect(refusal([], file(null))).toBe('settings')
  })

  test('a secret is not shown', () => {
    expect(refusal(['--api-token=hunter2'])).not.toContain('hunter2')
  })
})
