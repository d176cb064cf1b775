/** What a fake instance is, in the words of its own metadata. */
export interface FakeInstanceFacts {
  readonly account: string
  readonly region: string
  readonly availabilityZone: string
  readonly instanceId: string
  readonly role: string | undefined
  readonly credentials: NodeCredentials
  /** Text that stands in every secret of the instance. */
  readonly canary: string
}

/** The session of the instance's own role, in plain text so that a fake STS can be told to accept it. */
export interface NodeCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** The principal that STS sees: `arn:aws:sts::…:assumed-role/ROLE/INSTANCE`. */
  readonly arn: string
}

const MAC = '02:29:96:8f:6a:2d'

/**
 * Every leaf below a version segment with its text, as on an instance of the current fleet. Secrets carry the canary.
 * Directories follow from the leaves.
 */
export function instanceTree(facts: FakeInstanceFacts, now: number): Map<string, string> {
  const { account, region, availabilityZone, instanceId, canary } = facts
  const identity = {
    accountId: account,
    architecture: 'x86_64',
    availabilityZone,
    imageId: 'ami-0123456789abcdef0',
    instanceId,
    instanceType: 'm6i.large',
    pendingTime: '2026-01-01T00:00:00Z',
    privateIp: '10.0.12.34',
    region,
    version: '2017-09-30',
  }
  const leaves: Record<string, string> = {
    'dynamic/fws/instance-monitoring': 'disabled',
    'dynamic/instance-identity/document': pretty(identity),
    'dynamic/instance-identity/pkcs7': `MIAG-${canary}-pkcs7`,
    'dynamic/instance-identity/rsa2048': `MIAG-${canary}-rsa2048`,
    'dynamic/instance-identity/dsa2048': `MIAG-${canary}-dsa2048`,
    'dynamic/instance-identity/signature': `${canary}-signature`,
    'user-data': `#!/bin/sh\n/etc/eks/bootstrap.sh --token ${canary}-user-data\n`,
    'meta-data/ami-id': 'ami-0123456789abcdef0',
    'meta-data/ami-launch-index': '0',
    'meta-data/ami-manifest-path': '(unknown)',
    'meta-data/autoscaling/target-lifecycle-state': 'InService',
    'meta-data/block-device-mapping/ami': '/dev/xvda',
    'meta-data/block-device-mapping/root': '/dev/xvda',
    'meta-data/events/maintenance/history': '[]',
    'meta-data/events/maintenance/scheduled': '[]',
    'meta-data/hostname': `ip-10-0-12-34.${region}.compute.internal`,
    'meta-data/identity-credentials/ec2/info': pretty({
      Code: 'Success',
      LastUpdated: seconds(now),
      AccountId: account,
    }),
    'meta-data/identity-credentials/ec2/security-credentials/ec2-instance': document(facts, now, 'identity'),
    'meta-data/instance-action': 'none',
    'meta-data/instance-id': instanceId,
    'meta-data/instance-life-cycle': 'on-demand',
    'meta-data/instance-type': 'm6i.large',
    'meta-data/local-hostname': `ip-10-0-12-34.${region}.compute.internal`,
    'meta-data/local-ipv4': '10.0.12.34',
    'meta-data/mac': MAC,
    'meta-data/managed-ssh-keys/signer-cert': `${canary}-signer-cert`,
    'meta-data/metrics/vhostmd': '<?xml version="1.0" encoding="UTF-8"?>',
    [`meta-data/network/interfaces/macs/${MAC}/device-number`]: '0',
    [`meta-data/network/interfaces/macs/${MAC}/interface-id`]: 'eni-0123456789abcdef0',
    [`meta-data/network/interfaces/macs/${MAC}/local-ipv4s`]: '10.0.12.34',
    [`meta-data/network/interfaces/macs/${MAC}/mac`]: MAC,
    [`meta-data/network/interfaces/macs/${MAC}/owner-id`]: account,
    [`meta-data/network/interfaces/macs/${MAC}/subnet-id`]: 'subnet-0123456789abcdef0',
    [`meta-data/network/interfaces/macs/${MAC}/subnet-ipv4-cidr-block`]: '10.0.0.0/19',
    [`meta-data/network/interfaces/macs/${MAC}/vpc-id`]: 'vpc-0123456789abcdef0',
    [`meta-data/network/interfaces/macs/${MAC}/vpc-ipv4-cidr-block`]: '10.0.0.0/16',
    'meta-data/placement/availability-zone': availabilityZone,
    'meta-data/placement/availability-zone-id': 'use1-az1',
    'meta-data/placement/region': region,
    'meta-data/profile': 'default-hvm',
    'meta-data/public-keys/0/openssh-key': `ssh-rsa AAAA${canary}-public-key`,
    'meta-data/reservation-id': 'r-0123456789abcdef0',
    'meta-data/security-groups': 'eks-node',
    'meta-data/services/domain': 'amazonaws.com',
    'meta-data/services/partition': 'aws',
    'meta-data/system': 'nitro',
    'meta-data/tags/instance/Name': 'node-1',
    'meta-data/tags/instance/kubernetes.io-cluster': 'example',
  }
  if (facts.role !== undefined) {
    const { role } = facts
    leaves['meta-data/iam/info'] = pretty({
      Code: 'Success',
      LastUpdated: seconds(now),
      InstanceProfileArn: `arn:aws:iam::${account}:instance-profile/${role}`,
      InstanceProfileId: `AIPA${canary.toUpperCase()}000000000`,
    })
    leaves[`meta-data/iam/security-credentials/${role}`] = document(facts, now, 'role')
    leaves[`meta-data/iam/security-credentials-extended/${role}`] = document(facts, now, 'extended')
  }
  return new Map(Object.entries(leaves))
}

function document(facts: FakeInstanceFacts, now: number, kind: 'role' | 'extended' | 'identity'): string {
  const { credentials, account, canary } = facts
  const identity = kind === 'identity'
  // Real sessions live about six hours and are renewed hourly, well before the old ones end.
  const hour = now - (now % 3_600_000)
  return pretty({
    Code: 'Success',
    LastUpdated: seconds(hour),
    Type: 'AWS-HMAC',
    AccessKeyId: identity ? `ASIA${canary.toUpperCase()}IDENTITY00` : credentials.accessKeyId,
    SecretAccessKey: identity ? `${canary}/identity/secret` : credentials.secretAccessKey,
    Token: identity ? `${canary}/identity/token` : credentials.sessionToken,
    Expiration: seconds(hour + 6 * 3_600_000),
    ...(kind === 'extended' ? { AccountId: account } : {}),
  })
}

const pretty = (value: Record<string, string>): string =>
  JSON.stringify(value, undefined, 2).replaceAll('": "', '" : "')

const seconds = (instant: number): string => new Date(instant).toISOString().replace(/\.\d+Z$/, 'Z')
