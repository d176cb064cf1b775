import { test } from 'vitest'
import { classifierProperties, tokenProperties } from '../support/properties.ts'

// KUBE2IAM_SEED repeats a run; fast-check prints seed, path and the smallest counterexample.
const seed = Number(process.env['KUBE2IAM_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

for (const { name, run } of classifierProperties) {
  test(`${name} (seed ${seed})`, () => run({ seed, numRuns: 200_000 }))
}
for (const { name, run } of tokenProperties) {
  test(`${name} (seed ${seed})`, () => run({ seed, numRuns: 20_000 }))
}
