import { type Clock, Secret, systemClock } from '@kube2iam-ts/core'
import {
  type AwsTokenServiceOptions,
  createAwsTokenService,
  type NodeCredentials,
  staticNodeCredentials,
} from '../src/aws.ts'
import type { TokenServiceEvent } from '../src/index.ts'
import { createFakeSts, type FakeStsOptions, type TrustPolicy } from '../src/testing.ts'

export const ACCOUNT = '123456789012'
export const NODE_ROLE = `arn:aws:iam::${ACCOUNT}:role/node`
export const NODE_ARN = `arn:aws:sts::${ACCOUNT}:assumed-role/node/i-0abc`
export const APP = `arn:aws:iam::${ACCOUNT}:role/app`
export const NODE_KEYS = {
  accessKeyId: 'ASIANODE0000000000AA',
  secretAccessKey: 'node/secret+key',
  sessionToken: 'node/session+token==',
}

/** What is in the SDK's words, in ours. */
export const asNodeCredentials = (keys: {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}): NodeCredentials => ({
  accessKeyId: keys.accessKeyId,
  secretAccessKey: new Secret(keys.secretAccessKey),
  sessionToken: keys.sessionToken === undefined ? undefined : new Secret(keys.sessionToken),
  expiration: undefined,
})

export const trusting = (...principals: string[]): TrustPolicy => ({
  Version: '2012-10-17',
  Statement: {
    Effect: 'Allow',
    Principal: { AWS: principals },
    Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
  },
})

/** A listening STS with a node's principal and one role, and services that ask it. */
export async function openStsWorld(options: FakeStsOptions = {}) {
  const sts = createFakeSts(options)
  const { url, port } = await sts.listen()
  sts.addPrincipal({ ...NODE_KEYS, arn: NODE_ARN })
  sts.addRole({ arn: APP, trustPolicy: trusting(NODE_ROLE) })
  const closing: (() => Promise<void>)[] = [() => sts.close()]
  const events: TokenServiceEvent[] = []
  const clock: Clock = options.clock ?? systemClock

  return {
    sts,
    url,
    port,
    events,
    /** A service of the node, closed with the world. */
    serve(overrides: Partial<AwsTokenServiceOptions> = {}) {
      const service = createAwsTokenService({
        clock,
        endpoint: url,
        region: 'eu-west-1',
        nodeCredentials: staticNodeCredentials(asNodeCredentials(NODE_KEYS)),
        report: (event) => events.push(event),
        ...overrides,
      })
      closing.push(() => service.close())
      return service
    },
    onClose: (close: () => Promise<void>) => void closing.push(close),
    async [Symbol.asyncDispose]() {
      for (const close of closing.toReversed()) await close()
    },
  }
}

export const never = (): AbortSignal => new AbortController().signal
