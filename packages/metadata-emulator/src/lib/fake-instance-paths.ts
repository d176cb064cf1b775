import { IMDS_VERSIONS } from './imds-versions.ts'

/** Exact paths only; a version segment must be one that is listed. */
export function strictly(target: string): string | undefined {
  const path = target.split('?')[0] ?? ''
  return /^(?:\/[\w.:+=,@-]+)*\/?$/.test(path) && !/\/\.{1,2}(?:\/|$)/.test(path) ? path : undefined
}

/** Everything that some server or proxy somewhere forgives, at once. */
export function leniently(target: string): string {
  let path = target.replace(/^[a-z]+:\/\/[^/]*/i, '')
  for (let round = 0; round < 3; round += 1) {
    path = path.replaceAll(
      /%u00([0-9a-f]{2})|%c([01])%([89ab][0-9a-f])|%([0-9a-f]{2})/gi,
      (_all, wide?: string, lead?: string, tail?: string, plain?: string) =>
        lead === undefined
          ? String.fromCharCode(Number.parseInt(wide ?? plain ?? '', 16))
          : // An overlong pair: six bits of the character in its tail, the seventh in its lead.
            String.fromCharCode((Number(lead) << 6) | (Number.parseInt(tail ?? '', 16) & 0x3f)),
    )
  }
  path = path
    .replace(/[?#].*$/s, '')
    .replaceAll('\\', '/')
    .replaceAll(/;[^/]*/g, '')
    // eslint-disable-next-line no-control-regex -- forgiving control bytes is the point
    .replaceAll(/[^\x21-\x7e]/g, '')
    .toLowerCase()
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  return `/${segments.join('/')}`
}

/** The leaf or listing at a path; `undefined` where there is nothing. */
export function textAt(
  path: string,
  leaves: ReadonlyMap<string, string>,
  lenient: boolean,
): string | undefined {
  const segments = path.split('/').filter((segment) => segment !== '')
  const [version, ...rest] = segments
  if (version === undefined) return IMDS_VERSIONS.join('\n')
  const versionless = lenient && ['meta-data', 'dynamic', 'user-data'].includes(version)
  if (!versionless && !lenient && !(IMDS_VERSIONS as readonly string[]).includes(version)) return undefined
  const wanted = (versionless ? segments : rest).join('/')
  if (wanted === '') return 'dynamic\nmeta-data\nuser-data'
  for (const [leaf, text] of leaves) {
    if ((lenient ? leaf.toLowerCase() : leaf) === wanted) return text
  }
  return listing(wanted, leaves, lenient)
}

function listing(
  directory: string,
  leaves: ReadonlyMap<string, string>,
  lenient: boolean,
): string | undefined {
  const children = new Set<string>()
  for (const leaf of leaves.keys()) {
    const compared = lenient ? leaf.toLowerCase() : leaf
    if (!compared.startsWith(`${directory}/`)) continue
    const below = leaf.slice(directory.length + 1)
    const [child = '', ...deeper] = below.split('/')
    children.add(deeper.length === 0 ? child : `${child}/`)
  }
  // The role list has no line end and names the role without a slash; so has every other directory of leaves.
  return children.size === 0 ? undefined : [...children].join('\n')
}
