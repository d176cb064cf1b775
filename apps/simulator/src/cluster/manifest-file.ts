import { toIpAddress } from '@kube2iam-ts/core'
import { ProblemsError } from '../scenario/problem.ts'
import type { Position, SourceValue } from '../scenario/yaml-source.ts'
import { parseSource, toPlain } from '../scenario/yaml-source.ts'
import { DNS_LABEL, DNS_NAMED_KINDS, DNS_SUBDOMAIN, NAMESPACED_KINDS } from './kinds.ts'
import type { KubeObject } from './objects.ts'

/** What `kubectl get … -A -o yaml` writes for a large cluster fits. */
const LIMITS = { maxBytes: 256 * 1024 * 1024, maxNodes: 20_000_000 }

/** Reads Kubernetes objects; lists are taken apart. Throws `ProblemsError` with the place of what is no object. */
export function parseManifests(text: string, file: string): readonly KubeObject[] {
  const json = text.trimStart().startsWith('{') ? parseJson(text) : undefined
  // JSON that kubectl wrote is large and right: it is read without the places of its values.
  if (json !== undefined) return objects(sourceOf(json), file, '')
  return parseSource(text, file, LIMITS).flatMap((document) => objects(document, file, ''))
}

/** The same from plain data, whose values have no places of their own. */
export const manifestObjects = (value: unknown, file: string): readonly KubeObject[] =>
  objects(sourceOf(value), file, '')

function objects(source: Known, file: string, path: string): KubeObject[] {
  const fail = (at: Position, where: string, message: string): never => {
    throw new ProblemsError([{ file, ...at, path: where, message }])
  }
  if (source.kind !== 'map') {
    return fail(source.at, path, 'expected a Kubernetes object: a map with apiVersion, kind and metadata')
  }
  const kind = field(source, 'kind')
  if (kind?.kind !== 'scalar' || typeof kind.value !== 'string' || kind.value === '') {
    return fail(
      kind?.at ?? source.at,
      `${path}kind`,
      'expected a Kubernetes object with a kind, such as Pod, as text',
    )
  }
  const items = field(source, 'items')
  if (kind.value.endsWith('List') && items?.kind === 'list') {
    const inner = kind.value.slice(0, -'List'.length)
    return items.items.flatMap((item, index) => {
      const named = inner !== '' && field(item, 'kind') === undefined ? withKind(item, inner) : item
      return objects(named, file, `${path}items[${index}].`)
    })
  }
  checkMetadata(source, kind.value, path, fail)
  if (kind.value === 'Pod') checkAddresses(source, path, fail)
  return [checked(source.plain ?? toPlain(source))]
}

type Fail = (at: Position, where: string, message: string) => never

const field = (map: SourceValue | undefined, name: string): SourceValue | undefined =>
  map?.kind === 'map' ? map.entries.find(({ key }) => key === name)?.value : undefined

const textOf = (value: SourceValue | undefined): string | undefined =>
  value?.kind === 'scalar' && typeof value.value === 'string' && value.value !== '' ? value.value : undefined

function checkMetadata(source: SourceValue, kind: string, path: string, fail: Fail): void {
  const metadata = field(source, 'metadata')
  const generated = field(metadata, 'generateName')
  const name = field(metadata, 'name') ?? generated
  const text = textOf(name)
  if (text === undefined) {
    return fail(
      (name ?? metadata ?? source).at,
      `${path}metadata.name`,
      `expected the name of the ${kind}, as text`,
    )
  }
  if (DNS_NAMED_KINDS.has(kind)) {
    const whole = name === generated ? `${text}x` : text
    const right = kind === 'Namespace' ? DNS_LABEL : DNS_SUBDOMAIN
    if (!right.test(whole)) {
      fail(
        (name ?? source).at,
        `${path}metadata.name`,
        `expected a name of lower-case letters, digits and "-", as Kubernetes takes it, found ${JSON.stringify(text)}`,
      )
    }
    const namespace = field(metadata, 'namespace')
    const given = textOf(namespace)
    if (namespace !== undefined && (given === undefined || !DNS_LABEL.test(given))) {
      fail(namespace.at, `${path}metadata.namespace`, 'expected the name of a namespace, as text')
    }
  }
  for (const part of ['annotations', 'labels'] as const) {
    const map = field(metadata, part)
    if (map === undefined || (map.kind === 'scalar' && map.value === null)) continue
    if (map.kind !== 'map') return fail(map.at, `${path}metadata.${part}`, 'expected a map from text to text')
    const wrong = map.entries.find(({ value }) => value.kind !== 'scalar' || typeof value.value !== 'string')
    if (wrong !== undefined) {
      return fail(
        wrong.value.at,
        `${path}metadata.${part}.${wrong.key}`,
        'expected text: Kubernetes takes no other values here, write it in quotes',
      )
    }
  }
}

/** An address that is none would only be met when a packet is sent from it. */
function checkAddresses(source: SourceValue, path: string, fail: Fail): void {
  const status = field(source, 'status')
  const check = (value: SourceValue | undefined, where: string): void => {
    if (value === undefined || (value.kind === 'scalar' && value.value === null)) return
    const text = textOf(value)
    if (value.kind === 'scalar' && value.value === '') return
    if (text === undefined || toIpAddress(text) === undefined) {
      fail(value.at, `${path}status.${where}`, 'expected an IPv4 or IPv6 address')
    }
  }
  check(field(status, 'podIP'), 'podIP')
  check(field(status, 'hostIP'), 'hostIP')
  const ips = field(status, 'podIPs')
  if (ips?.kind === 'list') {
    for (const [index, entry] of ips.items.entries()) check(field(entry, 'ip'), `podIPs[${index}].ip`)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The YAML parser says what is wrong with it, and where.
    return undefined
  }
}

const TOP: Position = { line: 1, column: 1 }

/** A value that is known as plain data already, so that it need not be made from its source. */
type Known = SourceValue & { readonly plain?: unknown }

/** Only what is looked at is wrapped: a large cluster's JSON is not copied. */
function sourceOf(plain: unknown): Known {
  if (Array.isArray(plain)) {
    return {
      kind: 'list',
      at: TOP,
      plain,
      get items() {
        return plain.map(sourceOf)
      },
    }
  }
  if (typeof plain === 'object' && plain !== null) {
    return {
      kind: 'map',
      at: TOP,
      plain,
      get entries() {
        return Object.entries(plain).map(([key, value]) => ({ key, keyAt: TOP, value: sourceOf(value) }))
      },
    }
  }
  return { kind: 'scalar', value: plain as string | number | boolean | null, at: TOP, plain }
}

function withKind(item: Known, kind: string): Known {
  if (item.kind !== 'map') return item
  const { plain, entries, at } = item
  const value: Known = { kind: 'scalar', value: kind, at }
  return {
    kind: 'map',
    at,
    entries: [...entries, { key: 'kind', keyAt: at, value }],
    ...(plain === undefined ? {} : { plain: { kind, ...(plain as object) } }),
  }
}

/** What the API server puts behind a generateName, here always the same. */
const GENERATED = 'xxxxx'

/** As `kubectl apply` without `-n`: what belongs in a namespace and names none is in `default`. */
function checked(value: unknown): KubeObject {
  const object = value as KubeObject
  const metadata = { ...object.metadata }
  if (metadata.namespace === undefined && NAMESPACED_KINDS.has(object.kind)) {
    Object.assign(metadata, { namespace: 'default' })
  }
  if (metadata.name === undefined) {
    Object.assign(metadata, { name: `${String(metadata['generateName'])}${GENERATED}` })
  }
  for (const part of ['annotations', 'labels'] as const) {
    if (metadata[part] === null) delete (metadata as Record<string, unknown>)[part]
  }
  return { ...object, apiVersion: object.apiVersion ?? 'v1', metadata }
}
