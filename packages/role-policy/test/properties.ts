// Properties that the quick tests run some hundred times and the long run some hundred thousand times.

import { type PodIdentity, parseBaseArn, parseRoleArn } from '@kube2iam-ts/core'
import { aPod } from '@kube2iam-ts/core/testing'
import * as fc from 'fast-check'
import { compileGlob } from '../src/lib/glob.ts'
import type { PatternEngine } from '../src/lib/pattern-engine.ts'
import { parseGlobPattern, parseRegexpPattern } from '../src/lib/role-pattern.ts'
import { sessionName } from '../src/lib/session-name.ts'
import { globMatches, type Meaning, means, regexpMatches, written } from './reference.ts'

const bases = ['', 'a/', 'a/b/'].map((path) => parseBaseArn(`arn:aws:iam::123456789012:role/${path}`))

// Few letters, so that patterns and roles meet often; and a path that looks like the head of an ARN.
const letters = fc.stringMatching(/^[ab-]{1,4}$/)
const segments = fc.array(fc.oneof(letters, fc.constantFrom('a', 'x:role')), { maxLength: 3 })
const role = fc
  .record({
    partition: fc.constantFrom('aws', 'aws', 'aws-cn'),
    account: fc.constantFrom('123456789012', '123456789012', '999999999999'),
    segments,
    name: letters,
  })
  .map(({ partition, account, segments: path, name }) =>
    parseRoleArn(`arn:${partition}:iam::${account}:role/${[...path, name].join('/')}`),
  )

const glob = fc
  .array(fc.oneof(letters, fc.constantFrom('*', '*', '/', 'a', 'a/', '?', '.', '(a|b)')), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => pieces.join(''))

const fullGlob = fc.record({
  partition: fc.constantFrom('aws', '*', 'aws*'),
  account: fc.constantFrom('123456789012', '*', '1*2', '999999999999', '123456789012*'),
  resource: glob.map((rest) => `role/${rest}`),
})

/** Globs on any text: the matcher finds what trying everything finds. */
export const globsAgree = fc.property(
  fc.stringMatching(/^[ab*/]{0,10}$/),
  fc.stringMatching(/^[ab/]{0,12}$/),
  (pattern, text) => compileGlob(pattern)(text) === globMatches(pattern, text),
)

/** Role patterns in glob form. */
export const globPatternsAgree = fc.property(
  fc.oneof(
    glob.filter((text) => !text.startsWith('/')).map((rest): Meaning => ({ rest })),
    fullGlob.map(
      ({ partition, account, resource }): Meaning => ({
        parts: ['arn', partition, 'iam', '', account, resource],
      }),
    ),
  ),
  role,
  fc.constantFrom(...bases),
  (meaning, one, base) => {
    const parsed = parseGlobPattern(written(meaning))
    if (parsed.kind === 'invalid') return false
    const matched = parsed.patterns.some((pattern) => pattern.matches(one, base))
    return matched === means(meaning, globMatches, one, base)
  },
)

/** kube2iam completes short globs with the base ARN and matches whole ARNs: what we allow, it allows. */
export const globsNoLooserThanKube2iam = fc.property(
  fc.oneof(
    glob.filter((text) => !text.startsWith('/')),
    fullGlob.map(({ partition, account, resource }) => `arn:${partition}:iam::${account}:${resource}`),
  ),
  role,
  fc.constantFrom(...bases),
  (text, one, base) => {
    const parsed = parseGlobPattern(text)
    if (parsed.kind === 'invalid') return false
    const allowed = parsed.patterns.some((pattern) => pattern.matches(one, base))
    return !allowed || globMatches(text.startsWith('arn:') ? text : base.text + text, one.text)
  },
)

/** Expressions of which JavaScript and RE2 think alike, without a top-level colon. */
const expression: fc.Arbitrary<string> = fc.letrec<{ any: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('a', 'b', '-', '/', '.', '[ab]', '[^a]', '[a|:)]', '\\.', '\\/', '[]a]', '\\|'),
    tie('any').map((inner) => `(?:${inner})`),
    tie('any').map((inner) => `(${inner})`),
  ),
  any: fc.oneof(
    { depthSize: 'small' },
    tie('atom'),
    tie('atom').map((atom) => `${atom}*`),
    tie('atom').map((atom) => `${atom}+`),
    tie('atom').map((atom) => `${atom}?`),
    tie('atom').map((atom) => `${atom}{1,3}`),
    fc.tuple(tie('any'), tie('any')).map((pair) => pair.join('')),
    fc.tuple(tie('any'), tie('any')).map((pair) => `(?:${pair.join('|')})`),
  ),
})).any

// `[]a]` is a class of two in RE2 and of none in JavaScript.
const inJavaScript = (source: string): string => source.replaceAll('[]a]', '[\\]a]')

const regexpMeaning: fc.Arbitrary<Meaning> = fc.oneof(
  expression.map((rest): Meaning => ({ rest })),
  fc
    .record({
      account: fc.constantFrom('123456789012', '\\d+', '.*', '(?:1.*|9.*)'),
      partition: fc.constantFrom('aws', '.*', 'aws(?:-cn)?'),
      resource: expression.map((rest) => `role/${rest}`),
    })
    .map(
      ({ account, partition, resource }): Meaning => ({
        parts: ['arn', partition, 'iam', '', account, resource],
      }),
    ),
)

/** Role patterns in regexp form: one or more alternatives, perhaps anchored, perhaps grouped. */
export const regexpPatternsAgree = (engine: PatternEngine) =>
  fc.property(
    fc.array(regexpMeaning, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('plain', 'anchored', 'grouped', 'both', 'each anchored'),
    role,
    fc.constantFrom(...bases),
    (meanings, dress, one, base) => {
      const plain = meanings.map(written)
      const joined = plain.join('|')
      const source = {
        plain: joined,
        anchored: plain.length === 1 ? `^${joined}$` : `^(?:${joined})$`,
        grouped: `(${joined})`,
        both: `(?:^(${joined})$)`,
        'each anchored': plain.map((text) => `^${text}$`).join('|'),
      }[dress]
      const parsed = parseRegexpPattern(source, engine)
      if (parsed.kind === 'invalid') return false
      const matched = parsed.patterns.some((pattern) => pattern.matches(one, base))
      const matches = (pattern: string, text: string) => regexpMatches(inJavaScript(pattern), text)
      return matched === meanings.some((meaning) => means(meaning, matches, one, base))
    },
  )

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
const podName = fc.oneof(
  label,
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
  // As controllers name pods: long, and telling apart at the very end.
  fc.tuple(label, label, fc.stringMatching(/^[a-z0-9]{5}$/)).map((parts) => parts.join('-')),
)
const hint = fc.option(fc.oneof(fc.string({ maxLength: 80 }), fc.stringMatching(/^[\w+=,.@-]{0,70}$/)), {
  nil: undefined,
})
export const anyPod: fc.Arbitrary<PodIdentity> = fc
  .record({ namespace: label, name: podName, serviceAccount: podName })
  .map((names) => aPod(names))

const LEGAL = /^[\w+=,.@-]{2,64}$/
const anyRole = parseRoleArn('arn:aws:iam::123456789012:role/app')

/** Session names are legal, and no hint makes one pod's look like another's. */
export const sessionNamesTellPodsApart = fc.property(anyPod, anyPod, hint, hint, (one, other, a, b) => {
  const name = (pod: PodIdentity, wish: string | undefined) =>
    sessionName({ scope: 'pod', pod, role: anyRole, hint: wish }).text
  const [first, second] = [name(one, a), name(other, b)]
  const facts = name(one, undefined)
  const isSamePod = one.namespace === other.namespace && one.name === other.name
  return (
    LEGAL.test(first) &&
    LEGAL.test(second) &&
    (first === facts || first.startsWith(`${facts}@`)) &&
    (isSamePod || first.split('@')[0] !== second.split('@')[0])
  )
})
