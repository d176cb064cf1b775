import { Secret, systemClock } from '@kube2iam-ts/core'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { createAwsTokenService, staticNodeCredentials } from '../src/aws.ts'
import { createFakeSts, createFakeTokenService } from '../src/testing.ts'
import { tokenServiceContract } from './token-service.contract.ts'

const APP = 'arn:aws:iam::123456789012:role/app'
const NODE = 'arn:aws:sts::123456789012:assumed-role/node/i-0abc'

tokenServiceContract('the fake service', async () => {
  const clock = createFakeClock()
  const service = createFakeTokenService({ clock })
  return {
    service,
    now: () => clock.now(),
    make(trouble) {
      service.behave = () => (trouble === 'hang' ? { kind: 'hang' } : { kind: 'fail', code: trouble })
    },
    close: async () => {},
  }
})

tokenServiceContract('client-sts over HTTP', async () => {
  const sts = createFakeSts()
  const { url } = await sts.listen()
  const principal = {
    accessKeyId: 'ASIANODE0000000000AA',
    secretAccessKey: 'node-secret',
    sessionToken: 'node-token',
  }
  const trust = (arn: string) =>
    ({ Statement: { Effect: 'Allow', Principal: { AWS: arn }, Action: 'sts:AssumeRole' } }) as const
  sts.addPrincipal({ ...principal, arn: NODE })
  sts.addRole({ arn: APP, trustPolicy: trust('arn:aws:iam::123456789012:role/node') })
  const service = createAwsTokenService({
    clock: systemClock,
    endpoint: url,
    region: 'eu-west-1',
    nodeCredentials: staticNodeCredentials({
      accessKeyId: principal.accessKeyId,
      secretAccessKey: new Secret(principal.secretAccessKey),
      sessionToken: new Secret(principal.sessionToken),
      expiration: undefined,
    }),
  })
  return {
    service,
    now: Date.now,
    make(trouble) {
      switch (trouble) {
        case 'STS_DENIED':
          return sts.addRole({ arn: APP, trustPolicy: trust('arn:aws:iam::999999999999:root') })
        case 'STS_INVALID':
          return sts.addRole({
            arn: APP,
            trustPolicy: trust('arn:aws:iam::123456789012:role/node'),
            maxSessionDurationSeconds: 900,
          })
        case 'STS_THROTTLED':
          sts.faults.throttle = { ratePerSecond: 0, burst: 0 }
          return
        case 'STS_UNAVAILABLE':
          sts.faults.outage = 'unavailable'
          return
        case 'STS_BAD_ANSWER':
          sts.faults.rubbish = 'no-credentials'
          return
        case 'NODE_CREDENTIALS_UNAVAILABLE':
          return sts.removePrincipal(principal.accessKeyId)
        case 'hang':
          sts.faults.hang = true
          return
        default:
          trouble satisfies never
      }
    },
    async close() {
      await service.close()
      await sts.close()
    },
  }
})
