import { type AgentSettings, parseSettings } from '@kube2iam-ts/agent-runtime'
import { parseRoleArn, systemClock } from '@kube2iam-ts/core'
import { aGrant } from '@kube2iam-ts/core/testing'
import type { TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import { createFakeSts, type FakeSts } from '@kube2iam-ts/credential-broker/testing'
import { createFakeInstance, type FakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSts } from './sts.ts'

let sts: FakeSts
let instance: FakeInstance
let endpoint: string
let origin: string
let events: TokenServiceEvent[]

beforeEach(async () => {
  events = []
  sts = createFakeSts({})
  instance = createFakeInstance({ account: '123456789012', role: 'node', region: 'eu-south-2' })
  endpoint = (await sts.listen()).url
  origin = (await instance.listen()).url
  sts.addPrincipal(instance.credentials)
  for (const name of ['app', 'between']) {
    sts.addRole({
      arn: `arn:aws:iam::123456789012:role/${name}`,
      trustPolicy: { Statement: { Effect: 'Allow', Principal: '*', Action: 'sts:AssumeRole' } },
    })
  }
})
afterEach(async () => {
  await sts.close()
  await instance.close()
})

const settingsOf = (...args: string[]): AgentSettings => {
  const parsed = parseSettings({ args: [`--sts-endpoint=${endpoint}`, ...args] })
  if (parsed.kind !== 'settings') throw new Error(JSON.stringify(parsed))
  return parsed.settings
}

/** Asks for a session and says what STS saw of the last call. */
async function asked(args: string[], environment: Record<string, string> = {}, grant = aGrant()) {
  const service = createSts({
    settings: settingsOf(...args),
    environment,
    origin,
    clock: systemClock,
    upstream: instance.upstream,
    report: (event) => void events.push(event),
  })
  try {
    await service.assumeRole(grant, { signal: new AbortController().signal })
    return sts.calls.at(-1)
  } finally {
    await service.close?.()
  }
}

test.each([
  ['the flag', ['--region=eu-central-1'], { AWS_REGION: 'eu-west-1' }, 'eu-central-1'],
  ['AWS_REGION', [], { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-2' }, 'eu-west-1'],
  [
    'AWS_DEFAULT_REGION, as the chart of kube2iam sets it',
    [],
    { AWS_DEFAULT_REGION: 'eu-west-2' },
    'eu-west-2',
  ],
  ['the metadata service', [], {}, 'eu-south-2'],
  [
    'nobody where the global endpoint is wished for',
    ['--use-regional-sts-endpoint=false'],
    { AWS_REGION: 'eu-west-1' },
    'us-east-1',
  ],
  [
    'nobody with AWS_STS_REGIONAL_ENDPOINTS=legacy',
    [],
    { AWS_REGION: 'eu-west-1', AWS_STS_REGIONAL_ENDPOINTS: 'legacy' },
    'us-east-1',
  ],
  [
    'AWS_REGION in spite of legacy where the flag says so',
    ['--use-regional-sts-endpoint'],
    { AWS_REGION: 'eu-west-1', AWS_STS_REGIONAL_ENDPOINTS: 'legacy' },
    'eu-west-1',
  ],
])('the region is told by %s', async (_who, args, environment, region) => {
  expect(await asked(args, environment)).toMatchObject({ action: 'AssumeRole', region })
})

test('without a region from anywhere the global endpoint is asked', async () => {
  instance.set('meta-data/placement/region', undefined)
  expect(await asked([])).toMatchObject({ region: 'us-east-1' })
})

test("the intermediate role is assumed first, and the pod's from it", async () => {
  const call = await asked([
    '--assume-role-arn=arn:aws:iam::123456789012:role/between',
    '--node=n1',
    '--region=eu-west-1',
  ])
  expect(call?.callerArn).toBe('arn:aws:sts::123456789012:assumed-role/between/kube2iam-n1')
})

describe('in a partition that the global endpoint does not serve', () => {
  const grant = (partition: string) => {
    const arn = `arn:${partition}:iam::123456789012:role/app`
    sts.addRole({
      arn,
      trustPolicy: { Statement: { Effect: 'Allow', Principal: '*', Action: 'sts:AssumeRole' } },
    })
    return aGrant({ role: parseRoleArn(arn) })
  }

  test.each([
    ['aws-cn', 'cn-north-1'],
    ['aws-us-gov', 'us-gov-west-1'],
  ])('%s: without a region from anywhere %s is asked, and said once', async (partition, region) => {
    instance.set('meta-data/placement/region', undefined)
    expect(await asked([], {}, grant(partition))).toMatchObject({ region })
    expect(events.filter(({ kind }) => kind === 'region-replaced')).toMatchObject([
      { by: region, message: expect.stringContaining('--region') },
    ])
  })

  test('the wish for the global endpoint is a wish for the own region', async () => {
    const args = ['--use-regional-sts-endpoint=false']
    expect(await asked([...args, '--region=cn-northwest-1'], {}, grant('aws-cn'))).toMatchObject({
      region: 'cn-northwest-1',
    })
    instance.set('meta-data/placement/region', 'us-gov-east-1')
    expect(await asked(args, {}, grant('aws-us-gov'))).toMatchObject({ region: 'us-gov-east-1' })
  })
})

test('an endpoint that is given is asked for no other region', async () => {
  sts.faults.regionsOff.add('eu-west-1')
  await expect(asked(['--region=eu-west-1'])).rejects.toMatchObject({ code: 'STS_DENIED' })
  expect(events).toEqual([])
})

test('a bundle of certificates that cannot be read is refused at start', () => {
  const make = () =>
    createSts({
      settings: settingsOf(),
      environment: { AWS_CA_BUNDLE: '/nowhere/ca.pem' },
      origin,
      clock: systemClock,
      upstream: instance.upstream,
      report: () => {},
    })
  expect(make).toThrow(/^AWS_CA_BUNDLE: \/nowhere\/ca.pem cannot be read \(ENOENT\): /)
})

test.each([
  ['http://10.0.0.9', 1],
  ['http://127.0.0.1:4566', 0],
  ['https://sts.eu-west-1.amazonaws.com', 0],
])('AWS_ENDPOINT_URL_STS=%s is warned of %d times', (url, times) => {
  const parsed = parseSettings({ args: [] })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  const warnings: string[] = []
  createSts({
    settings: parsed.settings,
    environment: { AWS_ENDPOINT_URL_STS: url },
    origin,
    clock: systemClock,
    upstream: instance.upstream,
    report: () => {},
    warn: (why) => void warnings.push(why),
  })
  expect(warnings).toHaveLength(times)
})
