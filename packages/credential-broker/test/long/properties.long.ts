import { test } from 'vitest'
import { provesHistories, provesKeys, provesSameness } from '../properties.ts'

const seed = Number(process.env['KUBE2IAM_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

test(`keys (seed ${seed})`, () => provesKeys({ numRuns: 20_000, seed }))
test(`sameness (seed ${seed})`, () => provesSameness({ numRuns: 10_000, seed }))
test(`histories (seed ${seed})`, () => provesHistories({ numRuns: 3_000, seed }))
