import * as fc from 'fast-check'
import { test } from 'vitest'
import { loadPatternEngine } from '../../src/lib/pattern-engine.ts'
import {
  globPatternsAgree,
  globsAgree,
  globsNoLooserThanKube2iam,
  regexpPatternsAgree,
  sessionNamesTellPodsApart,
} from '../properties.ts'

const seed = process.env['KUBE2IAM_SEED']
const thoroughly = { numRuns: 300_000, ...(seed === undefined ? {} : { seed: Number(seed) }) }
const MINUTES = 60_000

test('globs match the texts that they mean', () => fc.assert(globsAgree, thoroughly), 5 * MINUTES)
test(
  'role patterns in glob form mean what they say',
  () => fc.assert(globPatternsAgree, thoroughly),
  5 * MINUTES,
)
test('no glob is looser than kube2iam’s', () => fc.assert(globsNoLooserThanKube2iam, thoroughly), 5 * MINUTES)
test(
  'role patterns in regexp form mean what they say',
  async () => fc.assert(regexpPatternsAgree(await loadPatternEngine()), { ...thoroughly, numRuns: 100_000 }),
  5 * MINUTES,
)
test(
  'session names are legal and tell pods apart',
  () => fc.assert(sessionNamesTellPodsApart, thoroughly),
  5 * MINUTES,
)
