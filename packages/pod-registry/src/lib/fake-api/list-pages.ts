import type { ObjectStore } from './object-store.ts'
import type { KubernetesObject } from './objects.ts'
import type { Resource } from './resources.ts'
import { badRequest, expired } from './statuses.ts'
import type { ListMeta } from './views.ts'

export interface ListPages {
  /** The asked page; 410 where its token is older than the history. */
  page(request: PageRequest): { items: KubernetesObject[]; metadata: ListMeta }
}

export interface PageRequest {
  resource: Resource
  namespace: string | undefined
  matches: (object: KubernetesObject) => boolean
  limit: number
  /** Empty: the first page. */
  token: string
}

/** Pages of one list all show the state of the first page's moment, until the history is compacted past it. */
export function createListPages(store: ObjectStore): ListPages {
  const kept = new Map<string, { version: number; items: KubernetesObject[] }>()
  let next = 0
  return {
    page({ resource, namespace, matches, limit, token }: PageRequest) {
      const begun = token === '' ? undefined : decodeToken(token)
      const snapshot =
        begun === undefined
          ? { version: store.version, items: ordered(store.list(resource, namespace).filter(matches)) }
          : kept.get(begun.id)
      if (snapshot === undefined || (begun !== undefined && snapshot.version < store.compactedVersion)) {
        throw expired('The provided continue parameter is too old to display a consistent list result.')
      }
      const start = begun?.start ?? 0
      const end = limit > 0 ? start + limit : snapshot.items.length
      const more = end < snapshot.items.length
      const id = begun?.id ?? `${(next += 1)}`
      if (more) keep(id, snapshot)
      else kept.delete(id)
      return {
        items: snapshot.items.slice(start, end),
        metadata: {
          resourceVersion: `${snapshot.version}`,
          ...(more
            ? {
                continue: Buffer.from(JSON.stringify({ id, start: end })).toString('base64url'),
                remainingItemCount: snapshot.items.length - end,
              }
            : {}),
        },
      }
    },
  }
  function keep(id: string, snapshot: { version: number; items: KubernetesObject[] }): void {
    kept.set(id, snapshot)
    const oldest = kept.keys().next()
    if (kept.size > 64 && !oldest.done) kept.delete(oldest.value)
  }
}

function decodeToken(token: string): { id: string; start: number } {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString()) as { id: string; start: number }
  } catch {
    throw badRequest('continue key is not valid')
  }
}

const ordered = (items: KubernetesObject[]): KubernetesObject[] =>
  items.sort(
    (a, b) =>
      compare(a.metadata.namespace ?? '', b.metadata.namespace ?? '') ||
      compare(a.metadata.name, b.metadata.name),
  )

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
