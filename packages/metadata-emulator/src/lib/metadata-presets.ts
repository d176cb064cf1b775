export type MetadataPreset =
  | 'region'
  | 'placement'
  | 'instance'
  | 'network'
  | 'spot'
  | 'tags'
  | 'all-safe'
  | 'none'
  | 'kube2iam'

export interface PresetDescription {
  readonly preset: MetadataPreset
  /** What a pod learns. */
  readonly reveals: string
  /** Paths below the version; `<mac>` and `<tag>` stand for one segment of that shape. */
  readonly paths: readonly string[]
}

const ZONE = [
  'meta-data/placement/availability-zone',
  'meta-data/placement/availability-zone-id',
  'meta-data/placement/region',
]
const SERVICES = ['meta-data/services/domain', 'meta-data/services/partition']
const LIFE_CYCLE = [
  'meta-data/autoscaling/target-lifecycle-state',
  'meta-data/events/maintenance/history',
  'meta-data/events/maintenance/scheduled',
  'meta-data/events/recommendations/rebalance',
  'meta-data/instance-life-cycle',
  'meta-data/spot/instance-action',
  'meta-data/spot/termination-time',
]
const INTERFACE = [
  'device-number',
  'interface-id',
  'ipv6s',
  'local-hostname',
  'local-ipv4s',
  'mac',
  'owner-id',
  'security-group-ids',
  'security-groups',
  'subnet-id',
  'subnet-ipv4-cidr-block',
  'subnet-ipv6-cidr-blocks',
  'vpc-id',
  'vpc-ipv4-cidr-block',
  'vpc-ipv4-cidr-blocks',
  'vpc-ipv6-cidr-blocks',
]

/** The presets of `--metadata-allow`, in the order of the documentation. */
export const METADATA_PRESETS: readonly PresetDescription[] = [
  { preset: 'none', reveals: 'nothing', paths: [] },
  {
    preset: 'all-safe',
    reveals: 'region, zone, partition, instance type, and what is about to happen to the instance',
    paths: [...ZONE, ...SERVICES, 'meta-data/instance-type', ...LIFE_CYCLE],
  },
  {
    preset: 'region',
    reveals: 'region, zone and partition, also as an identity document that holds nothing else',
    paths: [...ZONE, ...SERVICES],
  },
  {
    preset: 'placement',
    reveals: 'region, zone, dedicated host, placement group and partition number',
    paths: [
      ...ZONE,
      'meta-data/placement/group-name',
      'meta-data/placement/host-id',
      'meta-data/placement/partition-number',
    ],
  },
  {
    preset: 'instance',
    reveals: "the instance's ID, type, image, reservation and host names",
    paths: [
      'meta-data/ami-id',
      'meta-data/ami-launch-index',
      'meta-data/hostname',
      'meta-data/instance-id',
      'meta-data/instance-life-cycle',
      'meta-data/instance-type',
      'meta-data/local-hostname',
      'meta-data/reservation-id',
    ],
  },
  {
    preset: 'network',
    reveals: "the node's addresses, interfaces, subnet, VPC, security groups and account ID",
    paths: [
      'meta-data/ipv6',
      'meta-data/local-hostname',
      'meta-data/local-ipv4',
      'meta-data/mac',
      'meta-data/public-hostname',
      'meta-data/public-ipv4',
      'meta-data/security-groups',
      ...INTERFACE.map((leaf) => `meta-data/network/interfaces/macs/<mac>/${leaf}`),
    ],
  },
  {
    preset: 'spot',
    reveals: 'spot interruption, rebalance, maintenance and scaling notices',
    paths: LIFE_CYCLE,
  },
  {
    preset: 'tags',
    reveals: 'every tag of the instance with its value',
    paths: ['meta-data/tags/instance/<tag>'],
  },
]
