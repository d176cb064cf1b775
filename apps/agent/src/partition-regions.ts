import type { RoleArn } from '@kube2iam-ts/core'

type Partition = RoleArn['partition']

/**
 * The region that is asked in a partition where nobody says which one is meant. Only the commercial partition has a
 * global endpoint of STS; sessions of any region are valid in the whole partition.
 */
export const HOME_REGIONS: Readonly<Record<Exclude<Partition, 'aws'>, string>> = {
  'aws-cn': 'cn-north-1',
  'aws-us-gov': 'us-gov-west-1',
  'aws-iso': 'us-iso-east-1',
  'aws-iso-b': 'us-isob-east-1',
  'aws-iso-e': 'eu-isoe-west-1',
  'aws-iso-f': 'us-isof-south-1',
  'aws-eusc': 'eusc-de-east-1',
}

// botocore's partitions.json.
const PREFIXES: readonly (readonly [string, Partition])[] = [
  ['cn-', 'aws-cn'],
  ['us-gov-', 'aws-us-gov'],
  ['us-iso-', 'aws-iso'],
  ['us-isob-', 'aws-iso-b'],
  ['eu-isoe-', 'aws-iso-e'],
  ['us-isof-', 'aws-iso-f'],
  ['eusc-', 'aws-eusc'],
]

export const partitionOf = (region: string): Partition =>
  PREFIXES.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws'
