import { parseBaseArn, parseRoleArn } from '@kube2iam-ts/core'
import { describe, expect, test } from 'vitest'
import { createNamespaceRuleReader } from './namespace-rules.ts'
import { loadPatternEngine, type PatternEngine } from './pattern-engine.ts'

const base = parseBaseArn('arn:aws:iam::123456789012:role/')
const role = (name: string) => parseRoleArn(`arn:aws:iam::123456789012:role/${name}`)

/** An engine of JavaScript's own that takes one step for a character. */
const javaScript: PatternEngine = {
  compile(source) {
    const compiled = new RegExp(`^(?:${source})$`)
    return { matches: (text) => compiled.test(text), size: 1 }
  },
}

/** An engine that counts what is asked of it, and what that costs: steps for each character of what is matched. */
function counting(by: PatternEngine) {
  const counts = { compiled: 0, matched: 0, steps: 0 }
  const engine: PatternEngine = {
    compile(source) {
      counts.compiled += 1
      const { matches, size } = by.compile(source)
      return {
        size,
        matches(text) {
          counts.matched += 1
          counts.steps += size
          return matches(text)
        },
      }
    },
  }
  return { counts, engine }
}

test('an annotation is compiled once, and a role is matched once', () => {
  const { counts, engine } = counting(javaScript)
  const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => engine })
  const find = (name: string) => {
    const rules = reader.allowedRoles('["app-.*"]')
    return rules.kind === 'rules' && rules.patterns.find(role(name)) !== undefined
  }
  expect([find('app-1'), find('app-1'), find('other'), find('other')]).toEqual([true, true, false, false])
  expect(counts).toEqual({ compiled: 1, matched: 2, steps: 2 })
})

test.each(['a.c', 'a+c', 'ab*c', '[abc]+', '\\w+'])('%s does not stand for itself', (source) => {
  const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => javaScript })
  const rules = reader.allowedRoles(JSON.stringify([source]))
  expect(rules.kind === 'rules' && rules.patterns.find(role(source === 'a+c' ? 'aac' : 'abc'))).toBeTruthy()
})

test('what stands for itself needs no engine', () => {
  const { counts, engine } = counting(javaScript)
  const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => engine })
  const texts = ['app', 'team/app_1', 'a|(?:b|c)', 'arn:aws:iam::123456789012:role/x=y,z@w-v']
  const rules = reader.allowedRoles(JSON.stringify(texts))
  if (rules.kind !== 'rules') throw new Error(rules.kind)
  for (const name of ['app', 'team/app_1', 'a', 'b', 'c', 'x=y,z@w-v']) {
    expect(rules.patterns.find(role(name)), name).toBeDefined()
  }
  for (const name of ['ap', 'app1', 'team/app-1', 'xxx']) {
    expect(rules.patterns.find(role(name)), name).toBeUndefined()
  }
  expect(counts.compiled).toBe(0)
})

describe('expressions that are slow together', () => {
  const many = (source: string, count: number) =>
    JSON.stringify(Array.from({ length: count }, (_, index) => `${source}${index}`))
  const longest = `${'a'.repeat(509)}/${'a'.repeat(63)}`

  test.each([
    ['a thousand of the slowest', many('([a-z]*?/?){150}b', 1000)],
    ['a thousand of middling ones', many('([a-z]*?/?){10}b', 1000)],
    ['a thousand small ones', many('(a*)*b', 1000)],
    ['a thousand parts of ARNs', many('arn:aws:iam::(?:[0-9]*){3}:role/(a*)*b', 1000)],
    ['a thousand alternatives', JSON.stringify([Array.from({ length: 1000 }, () => 'a*').join('|')])],
    ['what leaves no program', many('(?:a{1000}){0}'.repeat(200), 60)],
  ])('%s make the annotation invalid, and little was compiled by then', async (_what, text) => {
    const { counts, engine } = counting(await loadPatternEngine())
    const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => engine })
    expect(reader.allowedRoles(text)).toMatchObject({
      kind: 'invalid',
      why: expect.stringMatching(/too complex together|too long/),
    })
    expect(counts.compiled).toBeLessThanOrEqual(1000)
  })

  test.each([
    ['(?:[a-z]*?/?){150}b', 3],
    ['(?:[a-z]*?/?){10}b', 44],
    ['(?:a*)*b', 263],
  ])(
    'of %s %d are taken and not twice as many: matching takes a bounded number of steps',
    async (source, most) => {
      const { counts, engine } = counting(await loadPatternEngine())
      const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => engine })
      expect(reader.allowedRoles(many(source, 2 * most)).kind).toBe('invalid')
      const rules = reader.allowedRoles(many(source, most))
      if (rules.kind !== 'rules') throw new Error(rules.kind)
      expect(rules.patterns.find(role(longest))).toBeUndefined()
      expect(counts.matched).toBe(most)
      expect(counts.steps).toBeGreaterThan(1000)
      expect(counts.steps).toBeLessThanOrEqual(2000)
    },
  )

  test('a thousand names and 150 prefixes are as good as ever', async () => {
    const { engine } = counting(await loadPatternEngine())
    const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => engine })
    expect(reader.allowedRoles(many('some-team/some-role-', 1000)).kind).toBe('rules')
    expect(reader.allowedRoles(many('arn:aws:iam::123456789012:role/some-team/some-role-', 1000)).kind).toBe(
      'rules',
    )
    const prefixes = JSON.stringify(Array.from({ length: 150 }, (_, index) => `app-${index}.*`))
    expect(reader.allowedRoles(prefixes).kind).toBe('rules')
  })
})

test('a pattern that cannot be used spoils the annotation, and the reason names it', () => {
  const reader = createNamespaceRuleReader({ format: 'glob', base, engine: () => undefined })
  expect(reader.allowedRoles('["app", "two words"]')).toMatchObject({
    kind: 'invalid',
    why: expect.stringMatching(/^pattern 2 cannot be used: /),
  })
})

test('a thousand patterns are enough for anybody', () => {
  const reader = createNamespaceRuleReader({ format: 'glob', base, engine: () => undefined })
  const listing = (count: number) => JSON.stringify(Array.from({ length: count }, (_, index) => `r${index}`))
  expect(reader.allowedRoles(listing(1000)).kind).toBe('rules')
  expect(reader.allowedRoles(listing(1001)).kind).toBe('invalid')
})

test('the same text means different things in the two annotations', () => {
  const { engine } = counting(javaScript)
  const reader = createNamespaceRuleReader({ format: 'glob', base, engine: () => engine })
  expect(reader.permitted('["app"]').kind).toBe('rules')
  const kiam = reader.permitted('["app"]')
  const kube2iam = reader.allowedRoles('["app"]')
  // As an expression it is a class of one character.
  expect(kiam.kind === 'rules' && kiam.patterns.find(role('a'))).toBeTruthy()
  expect(kube2iam.kind === 'rules' && kube2iam.patterns.find(role('a'))).toBeFalsy()
})
