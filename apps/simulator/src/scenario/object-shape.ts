import { nearest } from './problem.ts'
import type { JsonSchema, Reading, Shape, ValueOf } from './shape.ts'
import { found, problem } from './shape.ts'
import type { SourceValue } from './yaml-source.ts'

/** A key of an object: its shape, one line of documentation, and whether it must be there. */
export interface Field<Value, Required extends boolean> {
  readonly shape: Shape<Value>
  readonly doc: string
  readonly required: Required
}

export const required = <Value>(shape: Shape<Value>, doc: string): Field<Value, true> => ({
  shape,
  doc,
  required: true,
})

export const optional = <Value>(shape: Shape<Value>, doc: string): Field<Value, false> => ({
  shape,
  doc,
  required: false,
})

type Fields = Readonly<Record<string, Field<unknown, boolean>>>

export type ObjectOf<F extends Fields> = {
  readonly [Key in keyof F as F[Key]['required'] extends true ? Key : never]: ValueOf<F[Key]['shape']>
} & {
  readonly [Key in keyof F as F[Key]['required'] extends true ? never : Key]?: ValueOf<F[Key]['shape']>
}

export interface ObjectOptions {
  readonly expected?: string
  /** At least one of these keys must be there. */
  readonly anyOf?: readonly string[]
}

/** A map with known keys and no others. */
export function object<const F extends Fields>(
  fields: F,
  { expected, anyOf }: ObjectOptions = {},
): Shape<ObjectOf<F>> {
  const names = Object.keys(fields)
  const described =
    expected ??
    `a map with ${names.length > 6 ? `keys such as ${names.slice(0, 4).join(', ')}` : names.join(', ')}`
  return {
    expected: described,
    schema: objectSchema(fields, anyOf),
    read(source, path, reading) {
      if (source.kind !== 'map') {
        return problem(reading, source.at, path, `expected ${described}, found ${found(source)}`)
      }
      const before = reading.problems.length
      const result: Record<string, unknown> = {}
      for (const entry of source.entries) {
        const field = Object.hasOwn(fields, entry.key) ? fields[entry.key] : undefined
        const inner = path === '' ? entry.key : `${path}.${entry.key}`
        if (field === undefined) {
          problem(reading, entry.keyAt, inner, unknownKey(entry.key, names))
          continue
        }
        result[entry.key] = field.shape.read(entry.value, inner, reading)
      }
      checkRequired(fields, source, path, reading, anyOf)
      return reading.problems.length === before ? (result as ObjectOf<F>) : undefined
    },
  }
}

/** A map with exactly one of the keys, which says what kind of thing it is; `shared` keys may stand beside it. */
export function variant<const F extends Fields, const S extends Fields>(
  kinds: F,
  shared: S,
  what: string,
): Shape<Variant<F> & { readonly shared: ObjectOf<S> }> {
  const names = Object.keys(kinds)
  return {
    expected: `${what} (one of ${names.join(', ')})`,
    schema: {
      oneOf: names.map((name) => objectSchema({ ...requiredOnly(name, kinds), ...shared })),
    },
    read(source, path, reading) {
      if (source.kind !== 'map') {
        return problem(
          reading,
          source.at,
          path,
          `expected ${what}: a map with one of ${names.join(', ')}; found ${found(source)}`,
        )
      }
      const before = reading.problems.length
      const present = source.entries.filter(({ key }) => Object.hasOwn(kinds, key))
      for (const { key, keyAt } of source.entries) {
        if (Object.hasOwn(kinds, key) || Object.hasOwn(shared, key)) continue
        problem(reading, keyAt, `${path}.${key}`, unknownKey(key, [...names, ...Object.keys(shared)]))
      }
      const only = present[0]
      if (only === undefined || present.length > 1) {
        if (reading.problems.length > before) return undefined
        const which = present.map(({ key }) => key).join(' and ')
        return problem(
          reading,
          present[1]?.keyAt ?? source.at,
          path,
          only === undefined
            ? `expected ${what}: one of ${names.join(', ')}`
            : `${which} cannot stand in one ${what}; write two`,
        )
      }
      const value = kinds[only.key]?.shape.read(only.value, `${path}.${only.key}`, reading)
      const rest = object(shared).read(
        { ...source, entries: source.entries.filter(({ key }) => Object.hasOwn(shared, key)) },
        path,
        reading,
      )
      if (reading.problems.length > before) return undefined
      return { kind: only.key, value, at: source.at, shared: rest } as Variant<F> & {
        readonly shared: ObjectOf<S>
      }
    },
  }
}

export type Variant<F extends Fields> = {
  readonly [Key in keyof F & string]: {
    readonly kind: Key
    readonly value: ValueOf<F[Key]['shape']>
    readonly at: SourceValue['at']
  }
}[keyof F & string]

function checkRequired(
  fields: Fields,
  source: SourceValue & { kind: 'map' },
  path: string,
  reading: Reading,
  anyOf: readonly string[] | undefined,
): void {
  const has = (name: string): boolean => source.entries.some(({ key }) => key === name)
  for (const [name, { required: must, shape }] of Object.entries(fields)) {
    if (must && !has(name))
      problem(reading, source.at, path, `${name} is missing: expected ${shape.expected}`)
  }
  if (anyOf !== undefined && !anyOf.some(has)) {
    problem(reading, source.at, path, `expected at least one of ${anyOf.join(', ')}`)
  }
}

function unknownKey(key: string, names: readonly string[]): string {
  const near = nearest(key, names)
  return `there is no key ${JSON.stringify(key)} here; ${
    near === undefined ? `the keys are ${names.join(', ')}` : `did you mean ${near}?`
  }`
}

function objectSchema(fields: Fields, anyOf?: readonly string[]): JsonSchema {
  const must = Object.entries(fields).flatMap(([name, field]) => (field.required ? [name] : []))
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, { shape, doc }]) => [name, { description: doc, ...shape.schema }]),
    ),
    additionalProperties: false,
    ...(must.length > 0 ? { required: must } : {}),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.map((name) => ({ required: [name] })) }),
  }
}

const requiredOnly = (name: string, kinds: Fields): Fields =>
  Object.fromEntries(
    Object.entries(kinds)
      .filter(([kind]) => kind === name)
      .map(([kind, field]) => [kind, { ...field, required: true }]),
  )
