import {
  AssumeRoleCommand,
  type AssumeRoleCommandInput,
  type Credentials,
  GetCallerIdentityCommand,
  STSClient,
} from '@aws-sdk/client-sts'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { describe, expect, test } from 'vitest'
import { createFakeSts } from '../src/testing.ts'
import { ACCOUNT, APP, NODE_ARN, NODE_KEYS, NODE_ROLE, openStsWorld, trusting } from './sts-world.ts'

type Keys = { accessKeyId: string; secretAccessKey: string; sessionToken?: string }

/** The SDK as anybody else would use it. */
function clientOf(endpoint: string, credentials: Keys, region = 'eu-west-1', systemClockOffset = 0) {
  const client = new STSClient({ endpoint, region, credentials, maxAttempts: 1, systemClockOffset })
  return {
    assume: (input: Partial<AssumeRoleCommandInput> = {}) =>
      client.send(new AssumeRoleCommand({ RoleArn: APP, RoleSessionName: 'shop.cart', ...input })),
    whoAmI: () => client.send(new GetCallerIdentityCommand({})),
  }
}

const keysOf = (credentials: Credentials | undefined): Keys => ({
  accessKeyId: credentials?.AccessKeyId ?? '',
  secretAccessKey: credentials?.SecretAccessKey ?? '',
  sessionToken: credentials?.SessionToken ?? '',
})

describe('identity', () => {
  test('GetCallerIdentity proves whose the issued credentials are', async () => {
    await using world = await openStsWorld()
    const node = clientOf(world.url, NODE_KEYS)
    expect(await node.whoAmI()).toMatchObject({ Arn: NODE_ARN, Account: ACCOUNT })
    const { Credentials, AssumedRoleUser } = await node.assume()
    const pod = clientOf(world.url, keysOf(Credentials))
    expect(await pod.whoAmI()).toMatchObject({
      Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/shop.cart`,
      UserId: AssumedRoleUser?.AssumedRoleId,
      Account: ACCOUNT,
    })
  })

  test('a session outlives a restart of the fake with the same key, and no other key', async () => {
    await using world = await openStsWorld({ key: 'one' })
    const { Credentials } = await clientOf(world.url, NODE_KEYS).assume()
    await using same = await openStsWorld({ key: 'one' })
    await using other = await openStsWorld({ key: 'two' })
    expect((await clientOf(same.url, keysOf(Credentials)).whoAmI()).Account).toBe(ACCOUNT)
    await expect(clientOf(other.url, keysOf(Credentials)).whoAmI()).rejects.toMatchObject({
      name: 'InvalidClientTokenId',
    })
  })

  test.each([
    ['another secret', { secretAccessKey: 'guessed' }, 'SignatureDoesNotMatch'],
    ['another token', { sessionToken: 'guessed' }, 'InvalidClientTokenId'],
    ['no token', { sessionToken: undefined }, 'InvalidClientTokenId'],
    ['an unknown key', { accessKeyId: 'AKIAUNKNOWN000000000' }, 'InvalidClientTokenId'],
  ])('%s is refused', async (_what, change, name) => {
    await using world = await openStsWorld()
    const client = clientOf(world.url, { ...NODE_KEYS, ...change } as Keys)
    await expect(client.whoAmI()).rejects.toMatchObject({ name, $metadata: { httpStatusCode: 403 } })
    expect(world.sts.calls.at(-1)).toMatchObject({ errorCode: name, callerArn: undefined })
  })

  test("one session's secret does not sign for another's token", async () => {
    await using world = await openStsWorld()
    const node = clientOf(world.url, NODE_KEYS)
    const [one, two] = [keysOf((await node.assume()).Credentials), keysOf((await node.assume()).Credentials)]
    const mixed = clientOf(world.url, { ...one, secretAccessKey: two.secretAccessKey })
    await expect(mixed.whoAmI()).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' })
    const swapped = clientOf(world.url, { ...two, accessKeyId: one.accessKeyId })
    await expect(swapped.whoAmI()).rejects.toMatchObject({ name: 'InvalidClientTokenId' })
  })

  test('expired sessions and expired node credentials are refused', async () => {
    const clock = createFakeClock(new Date())
    await using world = await openStsWorld({ clock })
    const { Credentials } = await clientOf(world.url, NODE_KEYS).assume({ DurationSeconds: 900 })
    await clock.advance(901_000)
    const late = (keys: Keys) => clientOf(world.url, keys, 'eu-west-1', 901_000)
    await expect(late(keysOf(Credentials)).whoAmI()).rejects.toMatchObject({ name: 'ExpiredToken' })
    world.sts.addPrincipal({ ...NODE_KEYS, arn: NODE_ARN, expiresAt: clock.now() })
    await expect(late(NODE_KEYS).whoAmI()).rejects.toMatchObject({ name: 'ExpiredToken' })
  })

  test('signatures from a clock that is off by more than five minutes are refused', async () => {
    await using world = await openStsWorld()
    const fast = clientOf(world.url, NODE_KEYS, 'eu-west-1', 6 * 60_000)
    await expect(fast.whoAmI()).rejects.toThrow(/Signature not yet current/)
    const slow = clientOf(world.url, NODE_KEYS, 'eu-west-1', -6 * 60_000)
    await expect(slow.whoAmI()).rejects.toThrow(/Signature expired/)
  })

  test('a scope of another region than the endpoint serves is refused', async () => {
    await using world = await openStsWorld({ regions: ['eu-west-1'] })
    await expect(clientOf(world.url, NODE_KEYS, 'us-east-1').whoAmI()).rejects.toThrow(
      /scoped to a valid region/,
    )
  })
})

describe('requests that no SDK makes', () => {
  const post = async (
    url: string,
    headers: Record<string, string>,
    body = 'Action=GetCallerIdentity&Version=2011-06-15',
  ) => {
    const response = await fetch(url, { method: 'POST', body, headers })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }

  test('unsigned and malformed ones are refused in STS’s own form', async () => {
    await using world = await openStsWorld()
    const unsigned = await post(world.url, {})
    expect(unsigned.status).toBe(403)
    expect(unsigned.text).toMatch(
      /^<ErrorResponse xmlns="https:\/\/sts.amazonaws.com\/doc\/2011-06-15\/"><Error><Type>Sender<\/Type><Code>MissingAuthenticationToken<\/Code><Message>.+<\/Message><\/Error><RequestId>[0-9a-f-]{36}<\/RequestId><\/ErrorResponse>/,
    )
    expect(Math.abs(Date.parse(unsigned.headers.get('date') ?? '') - Date.now())).toBeLessThan(2_000)
    const malformed = await post(world.url, {
      authorization: 'AWS4-HMAC-SHA256 nonsense',
      'x-amz-date': '20260101T000000Z',
    })
    expect(malformed).toMatchObject({ status: 400 })
    expect(malformed.text).toContain('IncompleteSignature')
  })

  test.each([
    ['service', '20260101/eu-west-1/iam', 'correct service'],
    ['date', '20250101/eu-west-1/sts', 'Date in Credential scope'],
    ['region', '20260101/nowhere/sts', 'valid region'],
  ])(
    'a wrong %s in the scope is refused before the signature is looked at',
    async (_what, scope, message) => {
      const clock = createFakeClock(new Date('2026-01-01T00:00:00Z'))
      await using world = await openStsWorld({ clock })
      const authorization = `AWS4-HMAC-SHA256 Credential=${NODE_KEYS.accessKeyId}/${scope}/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=${'0'.repeat(64)}`
      const { status, text } = await post(world.url, {
        authorization,
        'x-amz-date': '20260101T000000Z',
        'x-amz-security-token': NODE_KEYS.sessionToken,
      })
      expect(status).toBe(403)
      expect(text).toContain(message)
    },
  )
})

describe('trust', () => {
  const denied = { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }
  const other = 'arn:aws:iam::999999999999:role/other'

  test.each<[string, string[], boolean]>([
    ['the node’s role', [NODE_ROLE], true],
    ['the node’s very session', [NODE_ARN], true],
    ['the account’s root', [`arn:aws:iam::${ACCOUNT}:root`], true],
    ['the account’s number', [ACCOUNT], true],
    ['anybody', ['*'], true],
    ['another role', [other], false],
    ['another account', ['arn:aws:iam::999999999999:root'], false],
    ['a role whose name merely begins alike', [`${NODE_ROLE}-2`], false],
  ])('a policy that trusts %s', async (_whom, principals, allowed) => {
    await using world = await openStsWorld()
    world.sts.addRole({ arn: APP, trustPolicy: trusting(...principals) })
    const call = clientOf(world.url, NODE_KEYS).assume()
    if (allowed) expect((await call).Credentials?.AccessKeyId).toMatch(/^ASIA/)
    else await expect(call).rejects.toMatchObject(denied)
  })

  test('the external ID must be the one that the policy names', async () => {
    await using world = await openStsWorld()
    world.sts.addRole({
      arn: APP,
      trustPolicy: {
        Statement: {
          Effect: 'Allow',
          Principal: { AWS: NODE_ROLE },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'sts:ExternalId': 'tenant-7' } },
        },
      },
    })
    const { assume } = clientOf(world.url, NODE_KEYS)
    expect((await assume({ ExternalId: 'tenant-7' })).Credentials).toBeDefined()
    await expect(assume({ ExternalId: 'tenant-8' })).rejects.toMatchObject(denied)
    await expect(assume()).rejects.toMatchObject(denied)
  })

  test('an explicit deny wins over any allow', async () => {
    await using world = await openStsWorld()
    world.sts.addRole({
      arn: APP,
      trustPolicy: {
        Statement: [
          { Effect: 'Allow', Principal: '*', Action: 'sts:*' },
          {
            Effect: 'Deny',
            Principal: '*',
            Action: 'sts:AssumeRole',
            Condition: { StringLike: { 'sts:RoleSessionName': 'shop.*' } },
          },
        ],
      },
    })
    const { assume } = clientOf(world.url, NODE_KEYS)
    await expect(assume()).rejects.toMatchObject(denied)
    expect((await assume({ RoleSessionName: 'bank.cart' })).Credentials).toBeDefined()
  })

  test('an unknown condition operator lets nobody in', async () => {
    await using world = await openStsWorld()
    world.sts.addRole({
      arn: APP,
      trustPolicy: {
        Statement: {
          Effect: 'Allow',
          Principal: '*',
          Action: 'sts:AssumeRole',
          Condition: { IpAddress: { 'sts:ExternalId': 'x' } },
        },
      },
    })
    await expect(clientOf(world.url, NODE_KEYS).assume({ ExternalId: 'xx' })).rejects.toMatchObject(denied)
  })

  test('tags need sts:TagSession, and their values can be conditions', async () => {
    await using world = await openStsWorld()
    const Tags = [{ Key: 'kubernetes-namespace', Value: 'shop' }]
    const statement = { Effect: 'Allow', Principal: { AWS: NODE_ROLE } } as const
    world.sts.addRole({ arn: APP, trustPolicy: { Statement: { ...statement, Action: 'sts:AssumeRole' } } })
    const { assume } = clientOf(world.url, NODE_KEYS)
    await expect(assume({ Tags })).rejects.toThrow(/not authorized to perform: sts:TagSession on resource/)
    world.sts.addRole({
      arn: APP,
      trustPolicy: {
        Statement: {
          ...statement,
          Action: ['sts:AssumeRole', 'sts:TagSession'],
          Condition: { StringEquals: { 'aws:RequestTag/kubernetes-namespace': 'shop' } },
        },
      },
    })
    expect((await assume({ Tags })).PackedPolicySize).toBeGreaterThan(0)
    await expect(assume({ Tags: [{ Key: 'kubernetes-namespace', Value: 'bank' }] })).rejects.toMatchObject(
      denied,
    )
  })

  test('an unknown role and a role that the caller may not assume look the same', async () => {
    await using world = await openStsWorld()
    const message = `User: ${NODE_ARN} is not authorized to perform: sts:AssumeRole on resource: ${APP}`
    world.sts.addPrincipal({ ...NODE_KEYS, arn: NODE_ARN, assumes: ['arn:aws:iam::*:role/else-*'] })
    const { assume } = clientOf(world.url, NODE_KEYS)
    await expect(assume()).rejects.toMatchObject({ ...denied, message })
    world.sts.removeRole(APP)
    await expect(assume()).rejects.toMatchObject({ ...denied, message })
  })
})

describe('limits', () => {
  const invalid = { name: 'ValidationError', $metadata: { httpStatusCode: 400 } }

  test('roles assumed from a role last an hour at most; users may ask for the role’s maximum', async () => {
    await using world = await openStsWorld()
    const user = { accessKeyId: 'AKIAUSER000000000000', secretAccessKey: 'user-secret' }
    world.sts.addPrincipal({ ...user, arn: `arn:aws:iam::${ACCOUNT}:user/ann` })
    world.sts.addRole({ arn: APP, trustPolicy: trusting(ACCOUNT), maxSessionDurationSeconds: 7_200 })
    const chained = clientOf(world.url, NODE_KEYS).assume({ DurationSeconds: 7_200 })
    await expect(chained).rejects.toMatchObject(invalid)
    await expect(chained).rejects.toThrow(/1 hour session limit for roles assumed by role chaining/)
    const { assume } = clientOf(world.url, user)
    const { Credentials } = await assume({ DurationSeconds: 7_200 })
    expect(((Credentials?.Expiration?.getTime() ?? 0) - Date.now()) / 1_000).toBeGreaterThan(7_190)
    await expect(assume({ DurationSeconds: 7_201 })).rejects.toThrow(/MaxSessionDuration set for this role/)
  })

  test.each<[string, Partial<AssumeRoleCommandInput>]>([
    ['a short duration', { DurationSeconds: 899 }],
    ['a long duration', { DurationSeconds: 43_201 }],
    ['a session name with a slash', { RoleSessionName: 'shop/cart' }],
    ['a session name of one character', { RoleSessionName: 'x' }],
    ['a session name of 65 characters', { RoleSessionName: 'x'.repeat(65) }],
    ['a reserved tag', { Tags: [{ Key: 'aws:x', Value: 'y' }] }],
    ['a long tag value', { Tags: [{ Key: 'x', Value: 'y'.repeat(257) }] }],
    ['51 tags', { Tags: Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: 'v' })) }],
    ['a role that is no ARN', { RoleArn: 'the-application-role' }],
  ])('%s is a ValidationError', async (_what, input) => {
    await using world = await openStsWorld()
    await expect(clientOf(world.url, NODE_KEYS).assume(input)).rejects.toMatchObject(invalid)
  })

  test('tags whose keys differ in case only are one tag too many', async () => {
    await using world = await openStsWorld()
    const Tags = [
      { Key: 'team', Value: 'a' },
      { Key: 'Team', Value: 'b' },
    ]
    await expect(clientOf(world.url, NODE_KEYS).assume({ Tags })).rejects.toMatchObject({
      name: 'InvalidParameterValue',
    })
  })

  test('policies and tags that are too large together', async () => {
    await using world = await openStsWorld()
    const Tags = Array.from({ length: 20 }, (_, index) => ({ Key: `key-${index}`, Value: 'v'.repeat(250) }))
    await expect(clientOf(world.url, NODE_KEYS).assume({ Tags })).rejects.toThrow(
      /Packed policy consumes \d+%/,
    )
    await expect(clientOf(world.url, NODE_KEYS).assume({ Policy: '{not json' })).rejects.toMatchObject({
      name: 'MalformedPolicyDocumentException',
    })
  })

  test('transitive tags follow into the next role and cannot be set again', async () => {
    await using world = await openStsWorld()
    const next = `arn:aws:iam::${ACCOUNT}:role/next`
    world.sts.addRole({
      arn: next,
      trustPolicy: {
        Statement: {
          Effect: 'Allow',
          Principal: { AWS: APP },
          Action: ['sts:AssumeRole', 'sts:TagSession'],
          Condition: { StringEquals: { 'aws:RequestTag/team': 'shop' } },
        },
      },
    })
    const Tags = [{ Key: 'team', Value: 'shop' }]
    const { Credentials } = await clientOf(world.url, NODE_KEYS).assume({ Tags, TransitiveTagKeys: ['team'] })
    const pod = clientOf(world.url, keysOf(Credentials))
    expect((await pod.assume({ RoleArn: next })).Credentials).toBeDefined()
    await expect(pod.assume({ RoleArn: next, Tags })).rejects.toThrow(/conflicts with a transitive tag key/)
  })
})

describe('records and faults', () => {
  test('every call is recorded as CloudTrail would, without secrets', async () => {
    await using world = await openStsWorld({ random: createSeededRandom(7) })
    const { Credentials } = await clientOf(world.url, NODE_KEYS).assume({ ExternalId: 'tenant-7' })
    expect(world.sts.calls).toMatchObject([
      {
        action: 'AssumeRole',
        region: 'eu-west-1',
        accessKeyId: NODE_KEYS.accessKeyId,
        callerArn: NODE_ARN,
        requestParameters: { RoleArn: APP, RoleSessionName: 'shop.cart', ExternalId: 'tenant-7' },
        status: 200,
        errorCode: undefined,
        issued: {
          accessKeyId: Credentials?.AccessKeyId,
          arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/shop.cart`,
        },
      },
    ])
    expect(world.sts.calls[0]?.userAgent).toContain('aws-sdk-js')
    expect(JSON.stringify(world.sts.calls)).not.toContain(Credentials?.SecretAccessKey)
  })

  test('throttling answers HTTP 400 above the bucket’s rate, and only AssumeRole', async () => {
    const clock = createFakeClock(new Date())
    await using world = await openStsWorld({ clock })
    world.sts.faults.throttle = { ratePerSecond: 1, burst: 2 }
    const { assume, whoAmI } = clientOf(world.url, NODE_KEYS)
    await assume()
    await assume()
    await expect(assume()).rejects.toMatchObject({
      name: 'Throttling',
      message: 'Rate exceeded',
      $metadata: { httpStatusCode: 400 },
    })
    expect((await whoAmI()).Account).toBe(ACCOUNT)
    await clock.advance(1_000)
    expect((await assume()).Credentials).toBeDefined()
  })

  test('a region can be switched off while others work', async () => {
    await using world = await openStsWorld()
    world.sts.faults.regionsOff.add('ap-east-1')
    await expect(clientOf(world.url, NODE_KEYS, 'ap-east-1').assume()).rejects.toMatchObject({
      name: 'RegionDisabledException',
    })
    expect((await clientOf(world.url, NODE_KEYS).assume()).Credentials).toBeDefined()
  })

  test('a port that is taken is an error, and closing twice is none', async () => {
    const [one, two] = [createFakeSts(), createFakeSts()]
    const { port } = await one.listen()
    await expect(two.listen({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await one.close()
    await one.close()
  })
})
