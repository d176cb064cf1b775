import type { BaseArn } from '@kube2iam-ts/core'
import { createBoundedCache } from './bounded-cache.ts'
import type { PatternEngine } from './pattern-engine.ts'
import { createPatternSet, type PatternSet } from './pattern-set.ts'
import { parseGlobPattern, parseRegexpPattern, type RolePattern } from './role-pattern.ts'
import type { PatternFormat } from './settings.ts'

/** What a namespace's annotation says. */
export type NamespaceRules =
  | { readonly kind: 'rules'; readonly patterns: PatternSet }
  | { readonly kind: 'invalid'; readonly why: string }
  /** A regular expression, and no engine yet. */
  | { readonly kind: 'engine-needed' }

export interface NamespaceRuleReader {
  /** kube2iam's annotation: a JSON array of patterns. */
  readonly allowedRoles: (text: string) => NamespaceRules
  /** kiam's annotation: one regular expression. */
  readonly permitted: (text: string) => NamespaceRules
}

export interface NamespaceRuleReaderOptions {
  format: PatternFormat
  base: BaseArn | undefined
  engine: () => PatternEngine | undefined
}

const REMEMBERED_ANNOTATIONS = 512
const MOST_PATTERNS = 1000
/** The slowest expressions that come to so much take some 20 ms on the longest ARN, all together. */
const MOST_WORK = 2000

/** Reads annotations; each text is compiled once while it is among the last few hundred seen. */
export function createNamespaceRuleReader({
  format,
  base,
  engine,
}: NamespaceRuleReaderOptions): NamespaceRuleReader {
  const allowedRoles = createBoundedCache<string, NamespaceRules>(REMEMBERED_ANNOTATIONS)
  const permitted = createBoundedCache<string, NamespaceRules>(REMEMBERED_ANNOTATIONS)
  return {
    allowedRoles(text) {
      const compiler = format === 'regexp' ? engine() : undefined
      if (format === 'regexp' && compiler === undefined) return { kind: 'engine-needed' }
      return allowedRoles.get(text, () => readAllowedRoles(text, compiler, base))
    },
    permitted(text) {
      const compiler = engine()
      if (compiler === undefined) return { kind: 'engine-needed' }
      return permitted.get(text, () => compilePatterns([text], compiler, base))
    },
  }
}

function readAllowedRoles(
  text: string,
  engine: PatternEngine | undefined,
  base: BaseArn | undefined,
): NamespaceRules {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return invalid('it is not JSON; a right one is ["role-name", "path/*"]')
  }
  if (!Array.isArray(parsed)) return invalid('it is not a JSON array; a right one is ["role-name", "path/*"]')
  const texts: string[] = []
  for (const [index, entry] of parsed.entries()) {
    if (typeof entry !== 'string') return invalid(`entry ${index + 1} is not a string`)
    texts.push(entry)
  }
  return compilePatterns(texts, engine, base)
}

/** All of the patterns or none: an annotation that is half understood must not grant by the other half. */
function compilePatterns(
  texts: readonly string[],
  engine: PatternEngine | undefined,
  base: BaseArn | undefined,
): NamespaceRules {
  const patterns: RolePattern[] = []
  let work = 0
  for (const [index, text] of texts.entries()) {
    const parsed = engine === undefined ? parseGlobPattern(text) : parseRegexpPattern(text, engine)
    if (parsed.kind === 'invalid') return invalid(`pattern ${index + 1} cannot be used: ${parsed.why}`)
    work += parsed.work
    if (work > MOST_WORK) {
      return invalid('its expressions are too complex together: write fewer or simpler ones, or whole names')
    }
    patterns.push(...parsed.patterns)
    if (patterns.length > MOST_PATTERNS) return invalid(`it has more than ${MOST_PATTERNS} patterns`)
  }
  return { kind: 'rules', patterns: createPatternSet(patterns, base) }
}

const invalid = (why: string): NamespaceRules => ({ kind: 'invalid', why })
