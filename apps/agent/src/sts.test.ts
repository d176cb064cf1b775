import { type AgentSettings, parseSettings } from '@kube2iam-ts/agent-runtime'
import { systemClock } from '@kube2iam-ts/core'
import { aGrant } from '@kube2iam-ts/core/testing'
import { createFakeSts, type FakeSts } from '@kube2iam-ts/credential-broker/testing'
import { createFakeInstance, type FakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSts } from './sts.ts'

let sts: FakeSts
let instance: FakeInstance
let endpoint: string
let origin: string

beforeEach(async () => {
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
async function asked(args: string[], environment: Record<string, string> = {}) {
  const service = createSts({
    settings: settingsOf(...args),
    environment,
    origin,
    clock: systemClock,
    upstream: instance.upstream,
    report: () => {},
  })
  try {
    await service.assumeRole(aGrant(), { signal: new AbortController().signal })
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
