import { isDeepStrictEqual } from 'node:util'
import type { KubernetesObject, Manifest } from './objects.ts'
import { isJsonObject, type Json, type JsonObject, mergeKeyOf, strategicMerge } from './patches.ts'
import { ApiStatusError, invalid } from './statuses.ts'

/**
 * Server-side apply: each manager says all that it wants, and what it no longer says is taken away unless another wants
 * it. Only managers that apply are remembered: what was written otherwise is nobody's, and conflicts with nothing.
 */
export interface ServerSideApply {
  /** The object with the manager's wishes; throws 409 where another manager wants a field otherwise and `force` is not set. */
  apply(before: KubernetesObject | undefined, wishes: Manifest, options: ApplyOptions): Manifest
  /** What was applied is written: it counts from now on. */
  applied(uid: string | undefined, wishes: Manifest, options: ApplyOptions): void
  forget(uid: string | undefined): void
}

export interface ApplyOptions {
  readonly manager: string
  readonly force: boolean
}

export function createServerSideApply(): ServerSideApply {
  const byObject = new Map<string, Map<string, Json>>()
  const wishesFor = (uid: string | undefined): Map<string, Json> => byObject.get(uid ?? '') ?? new Map()
  const othersOf = (uid: string | undefined, manager: string): [string, Json][] =>
    [...wishesFor(uid)].filter(([name]) => name !== manager)

  return {
    apply(before, wishes, { manager, force }) {
      if (manager === '') {
        throw invalid(
          'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        )
      }
      if (before === undefined) return wishes
      const { uid } = before.metadata
      const others = othersOf(uid, manager)
      const conflicts = others.flatMap(([name, theirs]) =>
        differences(wishes, theirs).map((path) => `conflict with "${name}": ${path}`),
      )
      if (conflicts.length > 0 && !force) {
        const count = `${conflicts.length} conflict${conflicts.length === 1 ? '' : 's'}`
        throw new ApiStatusError(409, 'Conflict', `Apply failed with ${count}: ${conflicts.join(', ')}`)
      }
      const last = wishesFor(uid).get(manager)
      const left = withdraw(before, last, [wishes, ...others.map(([, theirs]) => theirs)])
      return strategicMerge(left, wishes, '') as Manifest
    },
    applied(uid = '', wishes, { manager }) {
      // Who forced has the fields alone from now on.
      const others = othersOf(uid, manager).map(([name, theirs]) => [name, yielding(theirs, wishes)] as const)
      byObject.set(uid, new Map<string, Json>([...others, [manager, wishes]]))
    },
    forget: (uid = '') => void byObject.delete(uid),
  }
}

/** The value without what was wished for and is not any more, by anybody. */
function withdraw(value: Json, last: Json, wished: readonly Json[], field = ''): Json {
  const key = mergeKeyOf(field)
  if (isJsonObject(value) && isJsonObject(last)) {
    const left = new Map(Object.entries(value))
    for (const [name, was] of Object.entries(last)) {
      const inner = wished.flatMap((wish) => (isJsonObject(wish) && name in wish ? [wish[name]] : []))
      const kept = withdraw(left.get(name), was, inner, name)
      if (kept === undefined || (inner.length === 0 && isEmpty(kept))) left.delete(name)
      else left.set(name, kept)
    }
    return Object.fromEntries(left)
  }
  if (key !== undefined && Array.isArray(value) && Array.isArray(last)) {
    const wishedItems = wished.flatMap((wish) => (Array.isArray(wish) ? wish : []))
    const has = (items: readonly Json[], item: Json): boolean =>
      items.some((other) => sameItem(key, other, item))
    return value.flatMap((item) => {
      const was = last.find((other) => sameItem(key, other, item))
      if (was === undefined) return [item]
      if (!has(wishedItems, item)) return []
      return [
        withdraw(
          item,
          was,
          wishedItems.filter((other) => sameItem(key, other, item)),
        ),
      ]
    })
  }
  return wished.length === 0 && last !== undefined ? undefined : value
}

/** Where two want different values for one field. */
function differences(mine: Json, theirs: Json, path = '', field = ''): string[] {
  if (isJsonObject(mine) && isJsonObject(theirs)) {
    return Object.keys(mine).flatMap((name) =>
      name in theirs ? differences(mine[name], theirs[name], `${path}.${name}`, name) : [],
    )
  }
  const key = mergeKeyOf(field)
  if (key !== undefined && Array.isArray(mine) && Array.isArray(theirs)) {
    return mine.flatMap((item) => {
      const other = theirs.find((candidate) => sameItem(key, candidate, item))
      const at = `${path}[${key}=${JSON.stringify((item as JsonObject)[key])}]`
      return other === undefined ? [] : differences(item, other, at)
    })
  }
  return isDeepStrictEqual(mine, theirs) ? [] : [path]
}

/** One manager's wishes without those that another, who forced, has otherwise; `undefined` where none is left. */
function yielding(theirs: Json, mine: Json, field = ''): Json {
  if (isJsonObject(mine) && isJsonObject(theirs)) {
    const left = Object.entries(theirs).map(([name, value]) => [
      name,
      name in mine ? yielding(value, mine[name], name) : value,
    ])
    return Object.fromEntries(left.filter(([, value]) => value !== undefined))
  }
  const key = mergeKeyOf(field)
  if (key !== undefined && Array.isArray(mine) && Array.isArray(theirs)) {
    return theirs.map((item) => {
      const other = mine.find((candidate) => sameItem(key, candidate, item))
      return other === undefined ? item : yielding(item, other)
    })
  }
  return isDeepStrictEqual(mine, theirs) ? theirs : undefined
}

const sameItem = (key: string, a: Json, b: Json): boolean =>
  isJsonObject(a) && isJsonObject(b) && a[key] === b[key]

const isEmpty = (value: Json): boolean => isJsonObject(value) && Object.keys(value).length === 0
