// Cuts the source of an RE2 expression where its author would: at separators outside groups, classes and quotations.

/** The pieces of an expression between top-level separators; at most `limit` of them, the last keeping the rest. */
export function splitTopLevel(
  source: string,
  separator: '|' | ':',
  limit = Number.POSITIVE_INFINITY,
): string[] {
  const pieces: string[] = []
  let start = 0
  for (const { at, depth } of significant(source)) {
    if (depth !== 0 || source[at] !== separator || pieces.length + 1 >= limit) continue
    pieces.push(source.slice(start, at))
    start = at + 1
  }
  pieces.push(source.slice(start))
  return pieces
}

/**
 * The alternatives of an expression that is matched as a whole: `a|(?:b|^c$)` is `a`, `b` and `c`. Flags set in one
 * alternative do not reach the next, which can only make it match less.
 */
export function alternatives(source: string, depth = 0): string[] {
  // Each group is a walk over all that it holds: nested without end they would take the square of the text's length.
  if (depth > DEEPEST) throw new Error('too many groups or anchors stand around all of it')
  const parts = splitTopLevel(source, '|')
  if (parts.length > 1) return parts.flatMap((part) => alternatives(part, depth + 1))
  const inner = unwrapped(withoutAnchors(source))
  return inner === source ? [source] : alternatives(inner, depth + 1)
}

const DEEPEST = 20

/** Without `^` in front and `$` behind, which say nothing where the whole text has to match. */
function withoutAnchors(source: string): string {
  const open = source.replace(/^\^+/, '')
  const tail = [...significant(open)].at(-1)
  return tail !== undefined && tail.at === open.length - 1 && open.endsWith('$') ? open.slice(0, -1) : open
}

/** Without the one group that holds all of it. */
function unwrapped(source: string): string {
  const opening = /^\((?:\?:|(?!\?))/.exec(source)?.[0]
  if (opening === undefined) return source
  let closed = -1
  for (const { at, depth } of significant(source)) {
    if (depth === 0 && source[at] === ')') {
      closed = at
      break
    }
  }
  return closed === source.length - 1 ? source.slice(opening.length, -1) : source
}

/** The characters that mean something (not escaped, quoted or in a class), each with how many groups hold it. */
function* significant(source: string): Generator<{ at: number; depth: number }> {
  let depth = 0
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at]
    if (char === '\\') {
      const quotationEnd = source[at + 1] === 'Q' ? source.indexOf('\\E', at + 2) : at
      at = quotationEnd === -1 ? source.length : quotationEnd + 1
    } else if (char === '[') {
      at = classEnd(source, at)
    } else if (char === '(') {
      yield { at, depth }
      depth += 1
    } else {
      if (char === ')') depth -= 1
      yield { at, depth }
    }
  }
}

/** Where the class that opens at `at` closes: a `]` right after the opening is a member, and `[:alpha:]` may be inside. */
function classEnd(source: string, at: number): number {
  let next = at + 1
  if (source[next] === '^') next += 1
  if (source[next] === ']') next += 1
  for (; next < source.length && source[next] !== ']'; next += 1) {
    if (source[next] === '\\') next += 1
    else if (source.startsWith('[:', next)) {
      const named = source.indexOf(':]', next + 2)
      if (named !== -1) next = named + 1
    }
  }
  return next
}
