/** Says whether the whole text matches. */
export type Matcher = (text: string) => boolean

/** Compiles regular expressions that run in time linear in the text, whoever wrote them. */
export interface PatternEngine {
  /** A matcher of whole texts; throws an `Error` that says what is wrong with the expression. */
  compile(source: string): Matcher
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
      if (compiled.programSize() > LARGEST_PROGRAM)
        throw new Error('it is too complex: write several patterns')
      return (text) => compiled.testExact(text)
    },
  }
}
