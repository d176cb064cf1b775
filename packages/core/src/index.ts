export type { Backoff, BackoffOptions, Random } from './lib/backoff.ts'
export { createBackoff } from './lib/backoff.ts'
export type { Cancel, Clock } from './lib/clock.ts'
export { sleepOn, systemClock } from './lib/clock.ts'
export type { Credentials } from './lib/credentials.ts'
export type { CodedErrorOptions } from './lib/errors.ts'
export { aborted, CodedError, isCoded } from './lib/errors.ts'
export { quoted, showable } from './lib/foreign-text.ts'
export type { Grant } from './lib/grant.ts'
export { grantKey } from './lib/grant.ts'
export type { Cidr, IpAddress } from './lib/ip-address.ts'
export { isIpv6, parseCidr, parseIpAddress, toIpAddress } from './lib/ip-address.ts'
export type { NamespaceRecord, PodIdentity, PodPhase, ServiceAccountRecord } from './lib/pod-identity.ts'
export type { Report } from './lib/report.ts'
export { ignoreReports } from './lib/report.ts'
export type { BaseArn, Partition, RoleArn } from './lib/role-arn.ts'
export {
  assumedRoleArn,
  baseArnOfInstanceProfile,
  isShortRoleName,
  PARTITIONS,
  parseBaseArn,
  parseRoleArn,
  resolveRole,
} from './lib/role-arn.ts'
export { Secret } from './lib/secret.ts'
