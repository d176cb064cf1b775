import type { KubernetesObject } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'

/** How the client wants objects shown: as they are, metadata only, or as the table that kubectl prints. */
export type View = 'whole' | 'metadata' | 'table'

/** Reads an Accept header: the first media type that can be served wins. */
export function viewOf(accept: string | undefined): View {
  for (const type of (accept ?? '').split(',')) {
    if (!type.includes('json')) continue
    const as = /;\s*as=(\w+)/.exec(type)?.[1]
    if (as === undefined) return 'whole'
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata'
    if (as === 'Table' && /v=v1(?!\w)/.test(type)) return 'table'
  }
  return 'whole'
}

const META = 'meta.k8s.io/v1'

const partial = (object: KubernetesObject): object => ({
  kind: 'PartialObjectMetadata',
  apiVersion: META,
  metadata: object.metadata,
})

export interface ListMeta {
  resourceVersion: string
  continue?: string
  remainingItemCount?: number
}

/** A list as JSON text in pieces, so that a list of 100,000 pods is never one string. */
export function* listText(
  resource: Resource,
  items: readonly KubernetesObject[],
  metadata: ListMeta,
  view: View,
  now: number,
): Generator<string> {
  if (view === 'table') {
    yield JSON.stringify(table(resource, items, metadata, now))
    return
  }
  const kind = view === 'metadata' ? 'PartialObjectMetadataList' : `${resource.kind}List`
  const apiVersion = view === 'metadata' ? META : apiVersionOf(resource)
  yield `{"kind":"${kind}","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[`
  for (const [index, item] of items.entries()) {
    yield `${index === 0 ? '' : ','}${JSON.stringify(view === 'metadata' ? partial(item) : withoutType(item))}`
  }
  yield ']}\n'
}

/** Items of a typed list carry neither kind nor apiVersion; clients that need them must add them. */
function withoutType({ kind: _kind, apiVersion: _apiVersion, ...rest }: KubernetesObject): object {
  return rest
}

/** One object as it is answered to a get, a write or inside a watch event. */
export function shown(resource: Resource, object: KubernetesObject, view: View, now: number): object {
  if (view === 'metadata') return partial(object)
  if (view === 'table') {
    return table(resource, [object], { resourceVersion: object.metadata.resourceVersion ?? '' }, now)
  }
  return object
}

function table(
  resource: Resource,
  items: readonly KubernetesObject[],
  metadata: ListMeta,
  now: number,
): object {
  return {
    kind: 'Table',
    apiVersion: META,
    metadata,
    columnDefinitions: resource.columns.map(({ name, type = 'string', priority = 0 }) => ({
      name,
      type,
      format: name === 'Name' ? 'name' : '',
      description: name,
      priority,
    })),
    rows: items.map((item) => ({
      cells: resource.columns.map((column) => column.of(item, now)),
      object: partial(item),
    })),
  }
}
