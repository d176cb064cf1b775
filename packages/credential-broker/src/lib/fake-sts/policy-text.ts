export type OneOrMore<T> = T | readonly T[]
export type PolicyScalar = string | number | boolean

/** IAM takes one value for a list of one. */
export const list = <T>(value: OneOrMore<T>): readonly T[] =>
  Array.isArray(value) ? (value as readonly T[]) : [value as T]

/** IAM's wildcards: `*` is any text, `?` any one character. */
export function isLike(value: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${source}$`, 's').test(value)
}
