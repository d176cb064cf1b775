import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditRecord, LogFields } from '@kube2iam-ts/agent-runtime'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAuditFile } from './audit-file.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kube2iam-audit-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const record = (pod: string): AuditRecord => ({
  time: '2026-01-02T03:04:05.000Z',
  action: 'issued',
  pod,
  uid: 'u',
  serviceAccount: 'default',
  role: 'r',
  reason: 'request',
})

function setUp(path: string) {
  const clock = createFakeClock()
  const lines: (LogFields & { msg: string })[] = []
  const log = {
    enabled: () => true,
    write: (_level: string, msg: string, fields?: LogFields) => void lines.push({ ...fields, msg }),
  }
  const { write, lost } = createAuditFile(path, log, clock)
  return { clock, lines, audit: write, lost }
}

const podsIn = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as AuditRecord).pod)

test('a line for each record, in a file that only its owner reads', async () => {
  const path = join(directory, 'audit.jsonl')
  const { audit } = setUp(path)
  audit(record('a'))
  audit(record('b'))
  await expect.poll(() => podsIn(path)).toEqual(['a', 'b'])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a place that does not exist is refused at once', () => {
  expect(() => setUp(join(directory, 'missing', 'audit.jsonl'))).toThrow(
    /^--audit-log: .*missing.* cannot be opened \(ENOENT\): give a file in a directory that exists/,
  )
})

test('after a failure it is opened again, later each time, and what was lost is counted', async () => {
  // A device on which every write fails as it does on a full disk.
  const { audit, clock, lines, lost } = setUp('/dev/full')
  audit(record('a'))
  await expect.poll(() => lines).toHaveLength(1)
  expect(lines).toMatchObject([{ msg: 'the audit log cannot be written', path: '/dev/full' }])
  for (let index = 0; index < 10; index += 1) audit(record('b'))
  await clock.advance(1_000)
  audit(record('c'))
  await expect.poll(() => lines).toHaveLength(2)
  // The second wait is longer than the first.
  await clock.advance(1_000)
  audit(record('d'))
  await clock.advance(1_000)
  audit(record('e'))
  await expect.poll(() => lines).toHaveLength(3)
  expect(lines[2]).toMatchObject({ lost: 14 })
  expect(lost()).toBe(14)
})

test('when the disk has room again records are kept again, and the log says how many were not', async () => {
  const path = join(directory, 'audit.jsonl')
  symlinkSync('/dev/full', path)
  const { audit, clock, lines, lost } = setUp(path)
  audit(record('a'))
  audit(record('b'))
  await expect.poll(() => lines).toHaveLength(1)
  unlinkSync(path)
  await clock.advance(1_000)
  audit(record('c'))
  await expect.poll(() => podsIn(path)).toEqual(['c'])
  await expect.poll(() => lines).toHaveLength(2)
  expect(lines[1]).toMatchObject({ msg: 'the audit log is written again', lost: 2 })
  expect(lost()).toBe(2)
})
