import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Secret } from './secret.ts'

const text = 'wJalrXUtnFEMI/K7MDENG'
const secret = new Secret(text)

test('reveals exactly what it was given', () => {
  expect(secret.reveal()).toBe(text)
  expect(new Secret('ключ 🔑').reveal()).toBe('ключ 🔑')
})

test.each([
  ['a template', () => String(secret)],
  ['JSON', () => JSON.stringify({ secret })],
  ['inspect', () => inspect({ deep: { secret } }, { showHidden: true, depth: 9 })],
  ['an error message', () => new Error(`failed with ${String(secret)}`).message],
  ['its own keys', () => JSON.stringify(Object.entries(secret))],
])('is redacted in %s', (_where, print) => {
  expect(print()).not.toContain(text)
  expect(print()).toMatch(/redacted|^\[\]$/)
})
