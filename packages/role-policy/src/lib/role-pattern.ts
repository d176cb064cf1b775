import type { BaseArn, RoleArn } from '@kube2iam-ts/core'
import { compileGlob } from './glob.ts'
import type { Expression, Matcher, PatternEngine } from './pattern-engine.ts'
import { shown } from './refuse.ts'
import { alternatives, splitTopLevel } from './regexp-parts.ts'

/** Which roles are meant. Always matched whole, and part by part, so that no wildcard reaches from one part into another. */
export interface RolePattern {
  /** As it was written. */
  readonly text: string
  /** Written without `arn:`: it is completed with the base ARN, as a short role name is, and so means its account only. */
  readonly short: boolean
  /** A short pattern matches nothing where there is no base ARN. */
  matches(role: RoleArn, base: BaseArn | undefined): boolean
}

export type ParsedPattern =
  | {
      readonly kind: 'pattern'
      readonly patterns: readonly RolePattern[]
      /** What compiling and matching it costs beyond a comparison of texts, in steps of the engine for a character. */
      readonly work: number
    }
  | { readonly kind: 'invalid'; readonly why: string }

const FORM =
  'a full pattern has six parts, as in arn:aws:iam::123456789012:role/NAME, each of which may have wildcards'
const ARN_PARTS = 6
const LONGEST_PATTERN = 4096

/** Parses a pattern in which `*` stands for any characters. */
export function parseGlobPattern(text: string): ParsedPattern {
  if (!/^[\x21-\x7e]+$/.test(text))
    return invalid('it is empty or has white space or other characters that no role has')
  if (text.length > LONGEST_PATTERN) return invalid('it is too long')
  if (!/^arn:/i.test(text))
    return { kind: 'pattern', patterns: [shortPattern(text, compileGlob(withoutSlash(text)))], work: 0 }
  const parts = splitArn(text)
  if (parts.length !== ARN_PARTS || parts[0] !== 'arn') return invalid(FORM)
  return { kind: 'pattern', patterns: [fullPattern(text, parts.map(compileGlob))], work: 0 }
}

/** What stands for itself in an expression. */
const LITERAL = /^[\w/:=,@-]*$/
/** Groups, repetitions of nothing and the like take time to compile and leave no program. */
const CHARACTERS_FOR_A_STEP = 4

/** Parses a regular expression (RE2 syntax); each of its top-level alternatives is a pattern of its own. */
export function parseRegexpPattern(text: string, engine: PatternEngine): ParsedPattern {
  if (text === '') return invalid('it is empty')
  if (text.length > LONGEST_PATTERN) return invalid('it is too long')
  if (!isOfRoles(text)) return invalid('it has characters beyond ASCII, and no role has')
  let size = 0
  const compile = (source: string): Matcher => {
    const expression = LITERAL.test(source) ? literal(source) : engine.compile(source)
    size += expression.size
    return expression.matches
  }
  try {
    const patterns: RolePattern[] = []
    for (const alternative of alternatives(text)) {
      if (!alternative.startsWith('arn:')) {
        patterns.push(shortPattern(text, compile(alternative)))
        continue
      }
      const parts = splitTopLevel(alternative, ':', ARN_PARTS)
      if (parts.length !== ARN_PARTS) return invalid(FORM)
      patterns.push(fullPattern(text, parts.map(compile)))
    }
    const work = LITERAL.test(text) ? 0 : Math.max(size, Math.ceil(text.length / CHARACTERS_FOR_A_STEP))
    return { kind: 'pattern', patterns, work }
  } catch (error) {
    // RE2 repeats the pattern in what it says.
    return invalid(shown(error instanceof Error ? error.message : String(error)))
  }
}

/**
 * Whether an expression keeps to the characters that roles have, and names no others. Classes that reach into the rest
 * of Unicode have thousands of ranges: with `(?i)` a few hundred of them take seconds to compile.
 */
const isOfRoles = (text: string): boolean => /^[\x20-\x7e]+$/.test(text) && !/\\(?:[pP]|x\{)/.test(text)

const literal = (source: string): Expression => ({ matches: (text) => text === source, size: 0 })

function shortPattern(text: string, matcher: Matcher): RolePattern {
  return {
    text,
    short: true,
    matches(role, base) {
      if (base === undefined || role.account !== base.account || role.partition !== base.partition)
        return false
      const inAccount = role.path + role.name
      return inAccount.startsWith(base.path) && matcher(inAccount.slice(base.path.length))
    },
  }
}

function fullPattern(text: string, matchers: readonly Matcher[]): RolePattern {
  return {
    text,
    short: false,
    matches(role) {
      const parts = splitArn(role.text)
      return (
        parts.length === matchers.length && matchers.every((matches, index) => matches(parts[index] ?? ''))
      )
    },
  }
}

/** The six parts of an ARN; the last may have colons of its own. */
function splitArn(text: string): string[] {
  const parts = text.split(':')
  return parts.length <= ARN_PARTS
    ? parts
    : [...parts.slice(0, ARN_PARTS - 1), parts.slice(ARN_PARTS - 1).join(':')]
}

const withoutSlash = (text: string): string => (text.startsWith('/') ? text.slice(1) : text)

const invalid = (why: string): ParsedPattern => ({ kind: 'invalid', why })
