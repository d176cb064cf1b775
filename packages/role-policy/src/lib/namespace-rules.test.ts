import { parseBaseArn, parseRoleArn } from '@kube2iam-ts/core'
import { expect, test } from 'vitest'
import { createNamespaceRuleReader } from './namespace-rules.ts'
import type { PatternEngine } from './pattern-engine.ts'

const base = parseBaseArn('arn:aws:iam::123456789012:role/')
const role = (name: string) => parseRoleArn(`arn:aws:iam::123456789012:role/${name}`)

/** An engine of JavaScript's own that counts. */
function countingEngine() {
  const counts = { compiled: 0, matched: 0 }
  const engine: PatternEngine = {
    compile(source) {
      counts.compiled += 1
      const compiled = new RegExp(`^(?:${source})$`)
      return (text) => {
        counts.matched += 1
        return compiled.test(text)
      }
    },
  }
  return { counts, engine }
}

test('an annotation is compiled once, and a role is matched once', () => {
  const { counts, engine } = countingEngine()
  const reader = createNamespaceRuleReader({ format: 'regexp', base, engine: () => engine })
  const find = (name: string) => {
    const rules = reader.allowedRoles('["app-.*"]')
    return rules.kind === 'rules' && rules.patterns.find(role(name)) !== undefined
  }
  expect([find('app-1'), find('app-1'), find('other'), find('other')]).toEqual([true, true, false, false])
  // Once to see that the whole can be used, once as a pattern.
  expect(counts).toEqual({ compiled: 2, matched: 2 })
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
  const { engine } = countingEngine()
  const reader = createNamespaceRuleReader({ format: 'glob', base, engine: () => engine })
  expect(reader.permitted('["app"]').kind).toBe('rules')
  const kiam = reader.permitted('["app"]')
  const kube2iam = reader.allowedRoles('["app"]')
  // As an expression it is a class of one character.
  expect(kiam.kind === 'rules' && kiam.patterns.find(role('a'))).toBeTruthy()
  expect(kube2iam.kind === 'rules' && kube2iam.patterns.find(role('a'))).toBeFalsy()
})
