import { type Resource, resourceAt } from './resources.ts'
import { noSuchPath } from './statuses.ts'

/** What a request path names. */
export interface Target {
  readonly resource: Resource
  readonly group: string
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
}

const PATH =
  /^\/(?:api\/(v1)|apis\/([^/]+)\/([^/]+))(?:\/namespaces\/([^/]+)(?=\/[^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/

/** Reads a path; 404 for what the server does not serve. */
export function targetOf(path: string): Target {
  const match = PATH.exec(path)
  if (match === null) throw noSuchPath()
  const [, core, group = '', version = core ?? '', namespace, plural = '', name, subresource] = match.map(
    (part) => (part === undefined ? undefined : decodeURIComponent(part)),
  )
  const resource = resourceAt(group, version, plural)
  if (resource === undefined) throw noSuchPath()
  if (subresource !== undefined && !resource.subresources.includes(subresource)) throw noSuchPath()
  return { resource, group, namespace, name, subresource }
}
