// What patterns mean, said as plainly as possible: the tests hold the real matchers to it. Nothing here tries one way
// after the other: a reference that backtracks takes centuries over some pattern that a random test comes up with.
import type { BaseArn, RoleArn } from '@kube2iam-ts/core'
import * as fc from 'fast-check'

/** A pattern, and where in a text it can end when it begins at one of some places. */
export class Pattern {
  readonly source: string
  readonly ends: (text: string, begins: ReadonlySet<number>) => ReadonlySet<number>

  constructor(source: string, ends: Pattern['ends']) {
    this.source = source
    this.ends = ends
  }

  matches(text: string): boolean {
    return this.ends(text, new Set([0])).has(text.length)
  }

  /** How a counterexample shows it. */
  [fc.toStringMethod](): string {
    return this.source
  }
}

const nothing = new Pattern('', (_text, begins) => begins)

/** One character of those that a predicate tells. */
export const one = (source: string, isOne: (character: string) => boolean) =>
  new Pattern(source, (text, begins) => {
    const hits = [...begins].filter((at) => at < text.length && isOne(text.charAt(at)))
    return new Set(hits.map((at) => at + 1))
  })

/** The source as its author wrote it, with a meaning that is made of others. */
export const spelt = (source: string, meaning: Pattern) => new Pattern(source, meaning.ends)

export const all = (...patterns: readonly Pattern[]): Pattern =>
  new Pattern(patterns.map(({ source }) => source).join(''), (text, begins) =>
    patterns.reduce((places, pattern) => pattern.ends(text, places), begins),
  )

export const either = (...patterns: readonly Pattern[]): Pattern =>
  new Pattern(
    patterns.map(({ source }) => source).join('|'),
    (text, begins) => new Set(patterns.flatMap((pattern) => [...pattern.ends(text, begins)])),
  )

/** As often as it likes, or not at all: until it ends nowhere new. */
export const anyNumberOf = (pattern: Pattern): Pattern =>
  new Pattern(`${pattern.source}*`, (text, begins) => {
    let [before, places] = [0, begins]
    while (places.size > before) {
      before = places.size
      places = new Set([...places, ...pattern.ends(text, places)])
    }
    return places
  })

export const atLeastOne = (pattern: Pattern) =>
  spelt(`${pattern.source}+`, all(pattern, anyNumberOf(pattern)))

export const perhaps = (pattern: Pattern) => spelt(`${pattern.source}?`, either(nothing, pattern))

export const oneToThree = (pattern: Pattern) =>
  spelt(`${pattern.source}{1,3}`, all(pattern, perhaps(pattern), perhaps(pattern)))

/** A text that means itself. */
export const literally = (text: string) =>
  all(...text.split('').map((each) => one(each, (met) => met === each)))

export const anyCharacter = one('.', () => true)
export const anything = anyNumberOf(anyCharacter)

/** A glob: `*` is any text, also with slashes, and everything else means itself. */
export const glob = (text: string) =>
  spelt(text, all(...text.split('').map((each) => (each === '*' ? anything : literally(each)))))

/** One pattern as its author means it: parts of an ARN, or what follows the base ARN. */
export type Meaning = { readonly parts: readonly Pattern[] } | { readonly rest: Pattern }

export const written = (meaning: Meaning): string =>
  'rest' in meaning ? meaning.rest.source : meaning.parts.map(({ source }) => source).join(':')

/** Whether a role is meant, by taking its ARN apart and asking for each part. */
export function means(meaning: Meaning, role: RoleArn, base: BaseArn): boolean {
  if ('rest' in meaning) {
    return role.text.startsWith(base.text) && meaning.rest.matches(role.text.slice(base.text.length))
  }
  const parts = ['arn', role.partition, 'iam', '', role.account, `role${role.path}${role.name}`]
  return parts.every((part, index) => (meaning.parts[index] ?? nothing).matches(part))
}
