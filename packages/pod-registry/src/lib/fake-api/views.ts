import type { KubernetesObject } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import { notAcceptable } from './statuses.ts'

/**
 * How the client wants objects shown: as they are, metadata only (of one object, or of a list), or as the table that
 * kubectl prints.
 */
export type View = 'whole' | 'metadata' | 'metadata-list' | 'table'

const AS: Readonly<Record<string, View>> = {
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata-list',
  Table: 'table',
}

/**
 * Reads an Accept header as the API server does (apiserver, `negotiation.NegotiateMediaTypeOptions`): the first clause
 * that it can serve at all is taken, whether or not it suits what is asked for; the clauses after it are not looked at.
 */
export function viewOf(accept = ''): View {
  const clauses = accept.split(',').map(clauseOf)
  for (const { type, as, group, version } of clauses) {
    if (!['', '*/*', 'application/*', 'application/json'].includes(type)) continue
    if (as === undefined && group === undefined && version === undefined) return 'whole'
    const view = AS[as ?? '']
    if (view !== undefined && group === META_GROUP && version === 'v1') return view
  }
  throw notAcceptable('only the following media types are accepted: application/json')
}

function clauseOf(clause: string) {
  const [type = '', ...rest] = clause.split(';').map((part) => part.trim())
  const parameters = new Map(
    rest.map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]),
  )
  return { type, as: parameters.get('as'), group: parameters.get('g'), version: parameters.get('v') }
}

const META_GROUP = 'meta.k8s.io'
const META = `${META_GROUP}/v1`

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

/** A list as JSON text in pieces, so that a list of 100,000 pods is never one string. Throws 406 for a view of one object. */
export function listText(
  resource: Resource,
  items: readonly KubernetesObject[],
  metadata: ListMeta,
  view: View,
  now: number,
): Generator<string> {
  if (view === 'metadata') {
    throw notAcceptable(
      `you requested PartialObjectMetadata, but the requested object is a list (*core.${resource.kind}List)`,
    )
  }
  return pieces(resource, items, metadata, view, now)
}

function* pieces(
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
  const kind = view === 'metadata-list' ? 'PartialObjectMetadataList' : `${resource.kind}List`
  const apiVersion = view === 'metadata-list' ? META : apiVersionOf(resource)
  yield `{"kind":"${kind}","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[`
  for (const [index, item] of items.entries()) {
    yield `${index === 0 ? '' : ','}${JSON.stringify(view === 'metadata-list' ? partial(item) : withoutType(item))}`
  }
  yield ']}\n'
}

/** Items of a typed list carry neither kind nor apiVersion; clients that need them must add them. */
function withoutType({ kind: _kind, apiVersion: _apiVersion, ...rest }: KubernetesObject): object {
  return rest
}

/** One object as it is answered to a get, a write or inside a watch event. Throws 406 where a list was asked for. */
export function shown(resource: Resource, object: KubernetesObject, view: View, now: number): object {
  if (view === 'metadata-list') {
    throw notAcceptable(
      `you requested PartialObjectMetadataList, but the requested object is not a list (*core.${resource.kind})`,
    )
  }
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
