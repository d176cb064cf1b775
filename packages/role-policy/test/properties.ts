// Properties that the quick tests run some hundred times and the long run some hundred thousand times.

import { type PodIdentity, parseBaseArn, parseRoleArn } from '@kube2iam-ts/core'
import { aPod } from '@kube2iam-ts/core/testing'
import * as fc from 'fast-check'
import { compileGlob } from '../src/lib/glob.ts'
import type { PatternEngine } from '../src/lib/pattern-engine.ts'
import { parseGlobPattern, parseRegexpPattern } from '../src/lib/role-pattern.ts'
import { sessionName } from '../src/lib/session-name.ts'
import {
  all,
  anyCharacter,
  anyNumberOf,
  anything,
  atLeastOne,
  either,
  glob,
  literally,
  type Meaning,
  means,
  one,
  oneToThree,
  type Pattern,
  perhaps,
  spelt,
  written,
} from './reference.ts'

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

const globText = fc
  .array(fc.oneof(letters, fc.constantFrom('*', '*', '/', 'a', 'a/', '?', '.', '(a|b)')), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => pieces.join(''))

const fullGlob = fc.record({
  partition: fc.constantFrom('aws', '*', 'aws*'),
  account: fc.constantFrom('123456789012', '*', '1*2', '999999999999', '123456789012*'),
  resource: globText.map((rest) => `role/${rest}`),
})

/** Globs on any text; both are short, so that pieces run into each other and into the ends. */
export const globsAgree = fc.property(
  fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '*', '*'), maxLength: 10 }),
  fc.string({ unit: fc.constantFrom('a', 'a', 'b', '/'), maxLength: 8 }),
  (pattern, text) => compileGlob(pattern)(text) === glob(pattern).matches(text),
)

/** Role patterns in glob form. */
export const globPatternsAgree = fc.property(
  fc.oneof(
    globText.filter((text) => !text.startsWith('/')).map((rest): Meaning => ({ rest: glob(rest) })),
    fullGlob.map(
      ({ partition, account, resource }): Meaning => ({
        parts: ['arn', partition, 'iam', '', account, resource].map(glob),
      }),
    ),
  ),
  role,
  fc.constantFrom(...bases),
  (meaning, arn, base) => {
    const parsed = parseGlobPattern(written(meaning))
    if (parsed.kind === 'invalid') return false
    const matched = parsed.patterns.some((pattern) => pattern.matches(arn, base))
    return matched === means(meaning, arn, base)
  },
)

/** kube2iam completes short globs with the base ARN and matches whole ARNs: what we allow, it allows. */
export const globsNoLooserThanKube2iam = fc.property(
  fc.oneof(
    globText.filter((text) => !text.startsWith('/')),
    fullGlob.map(({ partition, account, resource }) => `arn:${partition}:iam::${account}:${resource}`),
  ),
  role,
  fc.constantFrom(...bases),
  (text, arn, base) => {
    const parsed = parseGlobPattern(text)
    if (parsed.kind === 'invalid') return false
    const allowed = parsed.patterns.some((pattern) => pattern.matches(arn, base))
    return !allowed || glob(text.startsWith('arn:') ? text : base.text + text).matches(arn.text)
  },
)

const digits = atLeastOne(one('\\d', (met) => /[0-9]/.test(met)))
const grouped = (pattern: Pattern) => spelt(`(?:${pattern.source})`, pattern)

const characters = [
  ...['a', 'b', '-', '/'].map(literally),
  anyCharacter,
  one('[ab]', (met) => 'ab'.includes(met)),
  one('[^a]', (met) => met !== 'a'),
  one('[a|:)]', (met) => 'a|:)'.includes(met)),
  one('[]a]', (met) => ']a'.includes(met)),
  one('\\.', (met) => met === '.'),
  one('\\/', (met) => met === '/'),
  one('\\|', (met) => met === '|'),
]

/** Expressions without a top-level colon or bar. */
const expression: fc.Arbitrary<Pattern> = fc.letrec<{ any: Pattern; atom: Pattern }>((tie) => ({
  atom: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...characters),
    tie('any').map(grouped),
    tie('any').map((inner) => spelt(`(${inner.source})`, inner)),
  ),
  any: fc.oneof(
    { depthSize: 'small' },
    tie('atom'),
    tie('atom').map(anyNumberOf),
    tie('atom').map(atLeastOne),
    tie('atom').map(perhaps),
    tie('atom').map(oneToThree),
    fc.tuple(tie('any'), tie('any')).map((pair) => all(...pair)),
    fc.tuple(tie('any'), tie('any')).map((pair) => grouped(either(...pair))),
  ),
})).any

const regexpMeaning: fc.Arbitrary<Meaning> = fc.oneof(
  expression.map((rest): Meaning => ({ rest })),
  fc
    .record({
      account: fc.constantFrom(
        literally('123456789012'),
        digits,
        anything,
        grouped(either(all(literally('1'), anything), all(literally('9'), anything))),
      ),
      partition: fc.constantFrom(
        literally('aws'),
        anything,
        all(literally('aws'), perhaps(grouped(literally('-cn')))),
      ),
      resource: expression.map((rest) => all(literally('role/'), rest)),
    })
    .map(
      ({ account, partition, resource }): Meaning => ({
        parts: [literally('arn'), partition, literally('iam'), literally(''), account, resource],
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
    (meanings, dress, arn, base) => {
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
      const matched = parsed.patterns.some((pattern) => pattern.matches(arn, base))
      return matched === meanings.some((meaning) => means(meaning, arn, base))
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
