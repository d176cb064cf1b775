import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml'
import type { Problem } from './problem.ts'
import { ProblemsError } from './problem.ts'

/** Where a value stands in its file. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface SourceEntry {
  readonly key: string
  readonly keyAt: Position
  readonly value: SourceValue
}

/** A value of a YAML (or JSON) document that knows where it was written; aliases are resolved. */
export type SourceValue = { readonly at: Position } & (
  | { readonly kind: 'map'; readonly entries: readonly SourceEntry[] }
  | { readonly kind: 'list'; readonly items: readonly SourceValue[] }
  | { readonly kind: 'scalar'; readonly value: string | number | boolean | null }
)

/** Nodes after resolving aliases; a scenario that a person wrote has a few thousand. */
const MOST_NODES = 200_000
const DEEPEST = 100

export interface SourceLimits {
  readonly maxBytes: number
  readonly maxNodes?: number
}

/** Parses the text's documents; throws `ProblemsError` with a position where it is no YAML or expands without measure. */
export function parseSource(text: string, file: string, limits: SourceLimits): readonly SourceValue[] {
  const top = { line: 1, column: 1 }
  const fail = (at: Position, message: string): never => {
    throw new ProblemsError([{ file, ...at, path: '', message }])
  }
  const bytes = Buffer.byteLength(text)
  if (bytes > limits.maxBytes) {
    fail(top, `the file has ${bytes} bytes; at most ${limits.maxBytes} are read`)
  }
  const lines = new LineCounter()
  const position = (offset: number | undefined): Position => {
    if (offset === undefined) return top
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  let documents: Document.Parsed[]
  try {
    const parsed = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
    documents = Array.isArray(parsed) ? parsed : []
  } catch (error) {
    return fail(
      top,
      error instanceof RangeError ? 'it is nested too deeply' : `it is no YAML: ${String(error)}`,
    )
  }
  const problems = documents.flatMap((document) =>
    document.errors.map(
      (error): Problem => ({
        file,
        ...position(error.pos[0]),
        path: '',
        message: `not valid YAML: ${error.message}`,
      }),
    ),
  )
  if (problems.length > 0) throw new ProblemsError(problems.slice(0, 5))

  let nodes = 0
  // Looking an anchor up costs a walk over the document; an alias inside an expanded alias is met again and again.
  const targets = new WeakMap<Alias, Node>()
  const targetOf = (alias: Alias, document: Document): Node | undefined => {
    const target = targets.get(alias) ?? alias.resolve(document)
    if (target !== undefined) targets.set(alias, target)
    return target
  }
  const convert = (node: unknown, document: Document, depth: number, fallback: Position): SourceValue => {
    nodes += 1
    const at = position(rangeOf(node)) ?? fallback
    if (nodes > (limits.maxNodes ?? MOST_NODES)) {
      fail(
        at,
        `it expands to more than ${limits.maxNodes ?? MOST_NODES} values; write out less, or use fewer aliases`,
      )
    }
    if (depth > DEEPEST) fail(at, `it is nested more than ${DEEPEST} levels deep`)
    if (node === null || node === undefined) return { kind: 'scalar', value: null, at: fallback }
    if (isAlias(node)) {
      const target = targetOf(node, document)
      if (target === undefined) fail(at, `the alias *${node.source} has no anchor`)
      return convert(target, document, depth + 1, at)
    }
    if (isMap(node)) {
      const entries = node.items.map((pair) => {
        const key = isScalar(pair.key) ? String(pair.key.value) : fail(at, 'a key must be plain text')
        const keyAt = position(rangeOf(pair.key))
        return { key, keyAt, value: convert(pair.value, document, depth + 1, keyAt) }
      })
      return { kind: 'map', entries, at }
    }
    if (isSeq(node)) {
      return { kind: 'list', items: node.items.map((item) => convert(item, document, depth + 1, at)), at }
    }
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'bigint') return { kind: 'scalar', value: Number(value), at }
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) {
      return { kind: 'scalar', value: value as string | number | boolean | null, at }
    }
    return fail(at, 'it is no text, number, boolean, list or map')
  }
  return documents
    .filter((document) => document.contents !== null)
    .map((document) => convert(document.contents, document, 0, top))
}

/** The plain value, positions forgotten. */
export function toPlain(value: SourceValue): unknown {
  switch (value.kind) {
    case 'scalar':
      return value.value
    case 'list':
      return value.items.map(toPlain)
    case 'map':
      // defineProperty keeps `__proto__` an ordinary key.
      return value.entries.reduce<Record<string, unknown>>(
        (record, { key, value: inner }) =>
          Object.defineProperty(record, key, {
            value: toPlain(inner),
            enumerable: true,
            writable: true,
            configurable: true,
          }),
        {},
      )
    default:
      return value satisfies never
  }
}

const rangeOf = (node: unknown): number | undefined =>
  (node as Node | null | undefined)?.range?.[0] ?? undefined
