import { CodedError } from '@kube2iam-ts/core'
import { isNeverServed } from './routes.ts'

/** What of the node's metadata pods may read. */
export interface MetadataAllow {
  /** As it was written, for the log. */
  readonly names: readonly string[]
  /** Whether the path below the version may be asked of the real metadata service. */
  allows(below: string): boolean
  /** What stands at a directory; `undefined` where nothing below it is allowed or the instance has to be asked. */
  list(below: string): readonly string[] | undefined
  /** Serve the identity document reduced to `region` and `availabilityZone`. */
  readonly reducedIdentityDocument: boolean
  /** Set where the choice is unsafe: the word for the log. */
  readonly insecure: 'kube2iam' | undefined
}

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

/** The unsigned description of the instance; `region` serves what is left of it after taking the rest away. */
export const IDENTITY_DOCUMENT = 'dynamic/instance-identity/document'

/** Single paths that no preset contains, because each gives away more than facts: named one by one or not at all. */
const SECRET_PATHS = [
  'user-data',
  IDENTITY_DOCUMENT,
  'dynamic/instance-identity/pkcs7',
  'dynamic/instance-identity/rsa2048',
  'dynamic/instance-identity/dsa2048',
  'dynamic/instance-identity/signature',
]

const SHAPES: Readonly<Record<string, RegExp>> = {
  '<mac>': /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/,
  '<tag>': /^[A-Za-z0-9_.:@+=,-]{1,128}$/,
}
const SINGLE_PATH = /^(?:meta-data|dynamic|user-data)(?:\/[A-Za-z0-9_.:@+=,-]+)*$/

/**
 * Parses the values of `--metadata-allow`: presets and single paths below the version (`meta-data/ami-id`,
 * `user-data`). Throws `METADATA_ALLOW_INVALID`, naming the value and what is right.
 */
export function parseMetadataAllow(values: readonly string[]): MetadataAllow {
  const names = values.flatMap((value) => value.split(',')).map((value) => value.trim())
  const paths = new Set<string>()
  let insecure: MetadataAllow['insecure']
  for (const name of names) {
    if (name === 'kube2iam') insecure = 'kube2iam'
    else for (const path of pathsOf(name)) paths.add(path)
  }
  if (names.includes('none') && names.length > 1) {
    throw invalid('none', 'it contradicts the other values; write either none or what to allow')
  }
  return matcher(names, [...paths], insecure)
}

function pathsOf(name: string): readonly string[] {
  const preset = METADATA_PRESETS.find((one) => one.preset === name)
  if (preset !== undefined) return preset.paths
  const path = name.replace(/^\/?(?:latest\/)?/, '').replace(/\/$/, '')
  if (isNeverServed(path))
    throw invalid(name, 'it holds credentials of the node, which no setting gives to pods')
  if (!SINGLE_PATH.test(path) || path.split('/').some((segment) => /^\.+$/.test(segment))) {
    const presets = METADATA_PRESETS.map((one) => one.preset).join(', ')
    throw invalid(name, `it is neither a preset (${presets}, kube2iam) nor a path such as meta-data/ami-id`)
  }
  if (!SECRET_PATHS.includes(path) && !path.startsWith('meta-data/')) {
    throw invalid(name, `only these are known outside meta-data/: ${SECRET_PATHS.join(', ')}`)
  }
  return [path]
}

function invalid(value: string, why: string): CodedError<'METADATA_ALLOW_INVALID'> {
  return new CodedError('METADATA_ALLOW_INVALID', `--metadata-allow: "${value}" cannot be allowed: ${why}`, {
    detail: { value },
  })
}

function matcher(
  names: readonly string[],
  paths: readonly string[],
  insecure: MetadataAllow['insecure'],
): MetadataAllow {
  const exact = new Set(paths.filter((path) => !path.includes('<')))
  const shaped = paths.filter((path) => path.includes('<')).map((path) => path.split('/'))
  const reducedIdentityDocument = names.includes('region') && !exact.has(IDENTITY_DOCUMENT)
  const listed = reducedIdentityDocument ? [...paths, IDENTITY_DOCUMENT] : paths
  const instanceListed = new Set(shaped.map((segments) => segments.slice(0, shapeIndex(segments)).join('/')))
  return {
    names,
    insecure,
    reducedIdentityDocument,
    allows: (below) =>
      !isNeverServed(below) &&
      (insecure !== undefined ||
        exact.has(below) ||
        instanceListed.has(below) ||
        shaped.some((segments) => fits(below.split('/'), segments, true))),
    list(below) {
      if (insecure !== undefined) return undefined
      const at = below === '' ? [] : below.split('/')
      const children = new Set<string>()
      for (const path of listed) {
        const segments = path.split('/')
        const child = segments[at.length]
        if (child === undefined || child.startsWith('<') || !fits(at, segments, false)) continue
        children.add(segments.length === at.length + 1 ? child : `${child}/`)
      }
      return children.size === 0 ? undefined : [...children].sort()
    },
  }
}

const shapeIndex = (segments: readonly string[]): number => segments.findIndex((one) => one in SHAPES)

/** Whether the path is an instance of the shaped one (`whole`), or of its beginning. */
function fits(path: readonly string[], shape: readonly string[], whole: boolean): boolean {
  if (whole ? path.length !== shape.length : path.length >= shape.length) return false
  return path.every((segment, index) => {
    const wanted = shape[index] ?? ''
    return SHAPES[wanted]?.test(segment) ?? segment === wanted
  })
}
