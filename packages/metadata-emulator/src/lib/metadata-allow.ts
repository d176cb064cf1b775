import { CodedError } from '@kube2iam-ts/core'
import { METADATA_PRESETS } from './metadata-presets.ts'
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
