import { test } from 'vitest'
import { provesHistories, provesKeys, provesSameness } from './properties.ts'

test('grants that differ in any one field never share a credential', () => provesKeys({ numRuns: 150 }))

test('grants that are the same to STS share one, and comparing agrees with hashing', () =>
  provesSameness({ numRuns: 100 }))

test('no history of pods, clocks and outages serves a foreign or an ended session', () =>
  provesHistories({ numRuns: 40 }))
