import type { Grant } from './grant.ts'
import { parseIpAddress } from './ip-address.ts'
import type { NamespaceRecord, PodIdentity } from './pod-identity.ts'
import { parseRoleArn } from './role-arn.ts'

/** A running pod with an address, for tests; name what matters and leave the rest. */
export function aPod(
  overrides: Partial<Omit<PodIdentity, 'addresses'>> & { addresses?: string[] } = {},
): PodIdentity {
  const { addresses = ['127.44.0.7'], ...rest } = overrides
  const name = rest.name ?? 'web-0'
  return {
    uid: `uid-of-${name}`,
    namespace: 'default',
    name,
    serviceAccount: 'default',
    node: 'node-1',
    hostNetwork: false,
    phase: 'Running',
    createdAt: new Date('2026-01-01T00:00:00Z'),
    deletedAt: undefined,
    annotations: {},
    ...rest,
    addresses: addresses.map(parseIpAddress),
  }
}

export const aNamespace = (overrides: Partial<NamespaceRecord> = {}): NamespaceRecord => ({
  name: 'default',
  annotations: {},
  ...overrides,
})

export const aGrant = (overrides: Partial<Grant> = {}): Grant => ({
  role: parseRoleArn('arn:aws:iam::123456789012:role/app'),
  sessionName: 'default.web-0',
  durationSeconds: 3600,
  externalId: undefined,
  sourceIdentity: undefined,
  tags: {},
  transitiveTagKeys: [],
  policyArns: [],
  policy: undefined,
  region: undefined,
  ...overrides,
})
