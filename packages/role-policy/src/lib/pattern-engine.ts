/** Says whether the whole text matches. */
export type Matcher = (text: string) => boolean

/** A regular expression that is ready to be matched. */
export interface Expression {
  /** Whether all of the text matches. */
  readonly matches: Matcher
  /** How many steps a single character can cost: what is matched takes time by this and by the text's length. */
  readonly size: number
}

/** Compiles regular expressions that run in time linear in the text, whoever wrote them. */
export interface PatternEngine {
  /** Throws an `Error` that says what is wrong with the expression. */
  compile(source: string): Expression
}

// The slowest expression of this size takes tens of milliseconds on the longest ARN; a list of names a few microseconds.
const LARGEST_PROGRAM = 1000

/**
 * Loads RE2. It is loaded when the first regular expression is met, because it costs every node 10 ms and 5 MB and
 * most clusters write globs.
 */
export async function loadPatternEngine(): Promise<PatternEngine> {
  const { RE2JS } = await import('re2js')
  return {
    compile(source) {
      const compiled = RE2JS.compile(source)
      const size = compiled.programSize()
      if (size > LARGEST_PROGRAM) throw new Error('it is too complex: write several patterns')
      return { matches: (text) => compiled.testExact(text), size }
    },
  }
}
