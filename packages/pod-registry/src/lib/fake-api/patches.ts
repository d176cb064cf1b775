import { ApiStatusError, badRequest, invalid } from './statuses.ts'

export type Json = unknown
export type JsonObject = Record<string, unknown>

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Applies a patch of one of the three content types of the Kubernetes API; the target is not changed. */
export function applyPatch(contentType: string, target: JsonObject, patch: unknown): JsonObject {
  const type = contentType.split(';')[0]?.trim()
  const patched =
    type === 'application/json-patch+json'
      ? jsonPatch(target, patch)
      : type === 'application/merge-patch+json'
        ? mergePatch(target, patch)
        : type === 'application/strategic-merge-patch+json'
          ? strategicMerge(target, patch, '')
          : undefined
  if (patched === undefined) {
    throw new ApiStatusError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - ${type}`,
    )
  }
  if (!isJsonObject(patched)) throw badRequest('a patch must leave an object')
  return patched
}

/** RFC 7386. */
function mergePatch(target: Json, patch: Json): Json {
  if (!isJsonObject(patch)) return patch
  const result: JsonObject = isJsonObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}

/** RFC 6902: add, remove, replace, test, move, copy. */
function jsonPatch(target: JsonObject, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is an array of operations')
  let document: Json = structuredClone(target)
  for (const operation of patch as { op?: string; path?: string; from?: string; value?: Json }[]) {
    const { op, path = '', from = '', value } = operation
    switch (op) {
      case 'test':
        if (JSON.stringify(read(document, path)) !== JSON.stringify(value)) {
          throw invalid(`the server rejected our request due to an error in our request: test ${path} failed`)
        }
        break
      case 'add':
      case 'replace':
        document = write(document, path, value, op)
        break
      case 'remove':
        document = write(document, path, undefined, op)
        break
      case 'move':
      case 'copy': {
        const moved = structuredClone(read(document, from))
        if (op === 'move') document = write(document, from, undefined, 'remove')
        document = write(document, path, moved, 'add')
        break
      }
      case undefined:
      default:
        throw badRequest(`unknown JSON patch operation ${JSON.stringify(op)}`)
    }
  }
  return document
}

const segments = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))

function read(document: Json, path: string): Json {
  return segments(path).reduce<Json>((inner, key) => {
    if (Array.isArray(inner)) return inner[Number(key)] as Json
    return isJsonObject(inner) ? inner[key] : undefined
  }, document)
}

function write(document: Json, path: string, value: Json, op: 'add' | 'replace' | 'remove'): Json {
  const keys = segments(path)
  const last = keys.pop()
  if (last === undefined) return value
  const parent = read(
    document,
    keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
  )
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last)
    if (!(index >= 0 && index <= parent.length - (op === 'add' ? 0 : 1))) {
      throw invalid(`the path ${path} does not exist`)
    }
    if (op === 'add') parent.splice(index, 0, value)
    else if (op === 'replace') parent[index] = value
    else parent.splice(index, 1)
    return document
  }
  if (!isJsonObject(parent)) throw invalid(`the path ${path} does not exist`)
  if (op !== 'add' && !Object.hasOwn(parent, last)) throw invalid(`the path ${path} does not exist`)
  if (op === 'remove') delete parent[last]
  else parent[last] = value
  return document
}

/** The lists that Kubernetes merges by a key (patchMergeKey in k8s.io/api), of the kinds that are served. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  env: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  ports: 'containerPort',
  conditions: 'type',
  imagePullSecrets: 'name',
  podIPs: 'ip',
  hostIPs: 'ip',
  ownerReferences: 'uid',
  secrets: 'name',
}

/** By which key Kubernetes merges a list, if it does. */
export const mergeKeyOf = (field: string): string | undefined => MERGE_KEYS[field]

/** Strategic merge: objects merge, lists with a merge key merge by it, other lists are replaced. */
export function strategicMerge(target: Json, patch: Json, field: string): Json {
  if (Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, field)
  if (!isJsonObject(patch)) return patch
  if (patch['$patch'] === 'replace') {
    const { $patch: _, ...rest } = patch
    return rest
  }
  const result: JsonObject = isJsonObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$setElementOrder/') || key === '$retainKeys') continue
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const name = key.slice(key.indexOf('/') + 1)
      const dropped = new Set(Array.isArray(value) ? value : [])
      if (Array.isArray(result[name])) result[name] = result[name].filter((item) => !dropped.has(item))
    } else if (value === null) delete result[key]
    else result[key] = strategicMerge(result[key], value, key)
  }
  return result
}

function mergeList(target: Json[], patch: Json[], field: string): Json[] {
  const key = MERGE_KEYS[field]
  if (field === 'finalizers') return [...new Set([...target, ...patch])]
  if (key === undefined) return patch
  let result = [...target]
  for (const item of patch) {
    if (!isJsonObject(item)) return patch
    if (item['$patch'] === 'replace') return patch.filter((other) => other !== item)
    const index = result.findIndex((existing) => isJsonObject(existing) && existing[key] === item[key])
    if (item['$patch'] === 'delete') result = result.filter((_, position) => position !== index)
    else if (index === -1) result.push(item)
    else result[index] = strategicMerge(result[index], item, '')
  }
  return result
}
