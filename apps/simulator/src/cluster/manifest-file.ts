import { ProblemsError } from '../scenario/problem.ts'
import type { SourceValue } from '../scenario/yaml-source.ts'
import { parseSource, toPlain } from '../scenario/yaml-source.ts'
import type { KubeObject } from './objects.ts'

/** What `kubectl get … -A -o yaml` writes for a large cluster fits. */
const LIMITS = { maxBytes: 256 * 1024 * 1024, maxNodes: 20_000_000 }

/** Reads Kubernetes objects; lists are taken apart. Throws `ProblemsError` with the place of what is no object. */
export function parseManifests(text: string, file: string): readonly KubeObject[] {
  const json = text.trimStart().startsWith('{') ? parseJson(text) : undefined
  if (json !== undefined) return objectsOfJson(json, file)
  return parseSource(text, file, LIMITS).flatMap((document) => objects(document, file, ''))
}

function objects(source: SourceValue, file: string, path: string): KubeObject[] {
  const fail = (at: SourceValue['at'], where: string, message: string): never => {
    throw new ProblemsError([{ file, ...at, path: where, message }])
  }
  if (source.kind !== 'map') {
    return fail(source.at, path, 'expected a Kubernetes object: a map with apiVersion, kind and metadata')
  }
  const field = (map: SourceValue, name: string): SourceValue | undefined =>
    map.kind === 'map' ? map.entries.find(({ key }) => key === name)?.value : undefined
  const kind = field(source, 'kind')
  if (kind?.kind !== 'scalar' || typeof kind.value !== 'string' || kind.value === '') {
    return fail(kind?.at ?? source.at, `${path}kind`, 'expected the kind of a Kubernetes object, such as Pod')
  }
  const items = field(source, 'items')
  if (kind.value.endsWith('List') && items?.kind === 'list') {
    const inner = kind.value.slice(0, -'List'.length)
    return items.items.flatMap((item, index) => {
      const named =
        inner !== '' && item.kind === 'map' && field(item, 'kind') === undefined
          ? withKind(item, inner)
          : item
      return objects(named, file, `${path}items[${index}].`)
    })
  }
  const metadata = field(source, 'metadata')
  const name = metadata === undefined ? undefined : field(metadata, 'name')
  const generated = metadata === undefined ? undefined : field(metadata, 'generateName')
  if (name === undefined && generated !== undefined) return []
  if (name?.kind !== 'scalar' || typeof name.value !== 'string' || name.value === '') {
    return fail(
      (name ?? metadata ?? source).at,
      `${path}metadata.name`,
      `expected the name of the ${kind.value}, as text`,
    )
  }
  for (const part of ['annotations', 'labels'] as const) {
    const map = metadata === undefined ? undefined : field(metadata, part)
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
  return [checked(toPlain(source))]
}

function objectsOfJson(value: unknown, file: string): KubeObject[] {
  const record = value as Record<string, unknown>
  const fail = (message: string): never => {
    throw new ProblemsError([{ file, line: 1, column: 1, path: '', message }])
  }
  if (typeof record['kind'] !== 'string') return fail('expected a Kubernetes object with a kind')
  if (Array.isArray(record['items'])) {
    const inner = record['kind'].replace(/List$/, '')
    return record['items'].flatMap((item: unknown) =>
      objectsOfJson(inner === '' ? item : { kind: inner, apiVersion: 'v1', ...(item as object) }, file),
    )
  }
  const metadata = record['metadata'] as Record<string, unknown> | undefined
  if (metadata?.['name'] === undefined && metadata?.['generateName'] !== undefined) return []
  if (typeof metadata?.['name'] !== 'string') {
    return fail(`expected metadata.name as text on a ${record['kind']}`)
  }
  return [checked(record)]
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The YAML parser says what is wrong with it, and where.
    return undefined
  }
}

const withKind = (item: SourceValue & { kind: 'map' }, kind: string): SourceValue => ({
  ...item,
  entries: [
    ...item.entries,
    { key: 'kind', keyAt: item.at, value: { kind: 'scalar', value: kind, at: item.at } },
  ],
})

const NAMESPACED_BY_DEFAULT = new Set([
  'Pod',
  'ServiceAccount',
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'CronJob',
])

/** As `kubectl apply` without `-n`: what belongs in a namespace and names none is in `default`. */
function checked(value: unknown): KubeObject {
  const object = value as KubeObject
  const metadata = { ...object.metadata }
  if (metadata.namespace === undefined && NAMESPACED_BY_DEFAULT.has(object.kind)) {
    Object.assign(metadata, { namespace: 'default' })
  }
  for (const part of ['annotations', 'labels'] as const) {
    if (metadata[part] === null) delete (metadata as Record<string, unknown>)[part]
  }
  return { ...object, apiVersion: object.apiVersion ?? 'v1', metadata }
}
