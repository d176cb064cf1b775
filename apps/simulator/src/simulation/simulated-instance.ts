import type { Clock, RoleArn } from '@kube2iam-ts/core'
import { CodedError } from '@kube2iam-ts/core'
import type { Upstream, UpstreamAnswer } from '@kube2iam-ts/metadata-emulator'

/** The node's own metadata service: what its role's credentials look like, so that nobody else may ever show them. */
export const NODE_CANARY = 'ASIANODECANARY000000'

export interface SimulatedInstance {
  /** What an agent uses; its requests are no pod's. */
  upstream(clock: Clock): Upstream
  /** What a pod meets that no rule stops. */
  answerPod(path: string): { readonly status: number; readonly body: string }
  /** Requests of pods that came past the agent. */
  readonly podRequests: number
  fault: 'down' | 'slow' | undefined
}

export function createSimulatedInstance(nodeRole: RoleArn, region: string, id: string): SimulatedInstance {
  const tree = treeOf(nodeRole, region, id)
  let podRequests = 0
  const instance: SimulatedInstance = {
    fault: undefined,
    get podRequests() {
      return podRequests
    },
    answerPod(path) {
      podRequests += 1
      const body = read(tree, path)
      return body === undefined ? { status: 404, body: '' } : { status: 200, body }
    },
    upstream: (clock) => ({
      async get(path, { signal }): Promise<UpstreamAnswer> {
        if (instance.fault === 'down') throw unavailable('refuses connections')
        await clock.sleep(instance.fault === 'slow' ? 5000 : 1, signal).catch(() => {
          throw unavailable('does not answer in time')
        })
        const body = read(tree, path)
        return {
          status: body === undefined ? 404 : 200,
          headers: { 'content-type': 'text/plain' },
          body: Buffer.from(body ?? ''),
        }
      },
      close: async () => {},
    }),
  }
  return instance
}

const unavailable = (how: string): CodedError =>
  new CodedError('UPSTREAM_UNAVAILABLE', `the metadata service ${how}`, { retryable: true })

function treeOf(nodeRole: RoleArn, region: string, id: string): ReadonlyMap<string, string> {
  const document = JSON.stringify({
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: NODE_CANARY,
    SecretAccessKey: 'canary-node-secret',
    Token: 'canary-node-token',
    Expiration: '2100-01-01T00:00:00Z',
  })
  const identity = JSON.stringify({
    accountId: nodeRole.account,
    region,
    availabilityZone: `${region}a`,
    instanceId: id,
  })
  return new Map([
    ['meta-data/placement/region', region],
    ['meta-data/placement/availability-zone', `${region}a`],
    ['meta-data/instance-id', id],
    ['meta-data/iam/security-credentials/', nodeRole.name],
    [`meta-data/iam/security-credentials/${nodeRole.name}`, document],
    ['meta-data/iam/security-credentials-extended/', nodeRole.name],
    [`meta-data/iam/security-credentials-extended/${nodeRole.name}`, document],
    [
      'meta-data/iam/info',
      JSON.stringify({
        Code: 'Success',
        InstanceProfileArn: `arn:${nodeRole.partition}:iam::${nodeRole.account}:instance-profile/${nodeRole.name}`,
        InstanceProfileId: 'AIPACANARY',
      }),
    ],
    ['meta-data/identity-credentials/ec2/security-credentials/ec2-instance', document],
    ['dynamic/instance-identity/document', identity],
    ['user-data', 'canary-user-data'],
  ])
}

function read(tree: ReadonlyMap<string, string>, path: string): string | undefined {
  if (path === '/latest/api/token') return 'canary-token'
  const below = /^\/(?:latest|1\.0|\d{4}-\d{2}-\d{2})\/(.+)$/.exec(path.split('?')[0] ?? '')?.[1]
  if (below === undefined) return undefined
  return tree.get(below) ?? tree.get(below.replace(/\/$/, '')) ?? tree.get(`${below}/`)
}
