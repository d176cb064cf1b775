import { IMDS_VERSIONS } from './imds-versions.ts'

/**
 * What a request target asks for. Every route carries what its answer needs, taken from one canonical path: nothing
 * downstream looks at the raw target again, and what is forwarded is `path` and nothing else.
 */
export type Route =
  | { readonly name: 'token' }
  /** The token path under a dated version, which the metadata service refuses. */
  | { readonly name: 'token-versioned' }
  | { readonly name: 'versions' }
  | { readonly name: 'version-index'; readonly version: string }
  /** `…/meta-data/`: the one index whose content depends on the caller. */
  | { readonly name: 'meta-data-index'; readonly version: string }
  | { readonly name: 'iam-index' }
  | { readonly name: 'iam-info' }
  | { readonly name: 'role-list'; readonly extended: boolean }
  | { readonly name: 'role-document'; readonly extended: boolean; readonly requested: string }
  /** Anything else below a version: `path` is canonical, `below` is `path` without the version. */
  | { readonly name: 'metadata'; readonly path: string; readonly below: string }
  /**
   * Canonical, but nothing that is ever served: credential paths of the node, unknown children of `iam/`, a date that
   * is no version of the API where something of the node is asked.
   */
  | { readonly name: 'never' }
  /** Would need repair before it meant anything. */
  | { readonly name: 'malformed' }

export type RouteName = Route['name']

/** Longer request targets are refused with 414; the longest that a client asks is a few hundred bytes. */
export const LONGEST_TARGET = 2048

const MALFORMED: Route = { name: 'malformed' }
const NEVER: Route = { name: 'never' }
const TOKEN: Route = { name: 'token' }

// RFC 9112 section 3.2.2: an authority, and only its shape; what it names changes nothing.
const ABSOLUTE_FORM = /^http:\/\/[\w.:[\]-]+(?=[/?]|$)/i
// What every path that is served consists of. No percent sign: nothing outside a role segment needs one.
const CANONICAL = /^(?:\/[A-Za-z0-9_.:@+=,-]+)*\/?$/
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/
// Two passes in place of one: nearly no path has a dot there, and looking for two characters is the cheaper part.
const hasDotSegment = (path: string): boolean => path.includes('/.') && DOT_SEGMENT.test(path)
const VERSION = /^(?:latest|1\.0|\d{4}-\d\d-\d\d)$/
const DOCUMENT = /^\/[\w.-]+\/meta-data\/iam\/security-credentials(-extended)?\/(.+)$/
/** As the metadata service, it has 404 for other dates; and a pod cannot ask one thing under ten thousand names. */
const LISTED: ReadonlySet<string> = new Set(IMDS_VERSIONS)
// IAM role names and paths, and the colons of an ARN, after decoding once.
const ROLE_TEXT = /^[\x21\x22\x24\x26-\x3e\x40-\x5b\x5d-\x7e]+$/

/** Classifies a raw request target in origin-form or absolute-form. Never throws, repairs nothing. */
export function classify(target: string): Route {
  const path = pathOf(target)
  if (path === undefined || hasDotSegment(path) || path.includes('//')) return MALFORMED
  const document = DOCUMENT.exec(path)
  if (document !== null) return documentRoute(path, document)
  if (!CANONICAL.test(path)) return MALFORMED
  return canonicalRoute(path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path)
}

/** The path as it was written, without authority and query. */
function pathOf(target: string): string | undefined {
  let path = target
  if (!path.startsWith('/')) {
    const absolute = ABSOLUTE_FORM.exec(path)
    if (absolute === null) return undefined
    path = path.slice(absolute[0].length)
    if (!path.startsWith('/')) path = `/${path}`
  }
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}

/** The only path in which something is decoded: once, and then compared with the pod's own role by the service. */
function documentRoute(path: string, [, extended, tail = '']: RegExpExecArray): Route {
  const version = path.slice(1, path.indexOf('/', 1))
  if (!VERSION.test(version)) return CANONICAL.test(path) ? NEVER : MALFORMED
  const raw = tail.endsWith('/') ? tail.slice(0, -1) : tail
  let requested = raw
  if (raw.includes('%')) {
    try {
      requested = decodeURIComponent(raw)
    } catch {
      return MALFORMED
    }
  }
  const canonical =
    ROLE_TEXT.test(requested) &&
    !requested.includes('//') &&
    !requested.startsWith('/') &&
    !requested.endsWith('/') &&
    !hasDotSegment(`/${requested}`)
  return canonical ? { name: 'role-document', extended: extended !== undefined, requested } : MALFORMED
}

function canonicalRoute(path: string): Route {
  if (path === '/') return { name: 'versions' }
  const end = path.indexOf('/', 1)
  const version = end === -1 ? path.slice(1) : path.slice(1, end)
  if (!VERSION.test(version)) return NEVER
  const below = end === -1 ? '' : path.slice(end + 1)
  switch (below) {
    case '':
      return LISTED.has(version) ? { name: 'version-index', version } : NEVER
    case 'meta-data':
      return LISTED.has(version) ? { name: 'meta-data-index', version } : NEVER
    case 'meta-data/iam':
      return { name: 'iam-index' }
    case 'meta-data/iam/info':
      return { name: 'iam-info' }
    case 'meta-data/iam/security-credentials':
      return { name: 'role-list', extended: false }
    case 'meta-data/iam/security-credentials-extended':
      return { name: 'role-list', extended: true }
    case 'api/token':
      return version === 'latest' ? TOKEN : { name: 'token-versioned' }
    default:
      return !LISTED.has(version) || isNeverServed(below) ? NEVER : { name: 'metadata', path, below }
  }
}

/** Credentials of the node, in any spelling that a forgiving server could take for them. */
export function isNeverServed(below: string): boolean {
  return /(?:^|\/)(?:iam|api|identity-credentials)(?:\/|$)|credential/i.test(below)
}
