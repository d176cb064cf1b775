import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditRecord, Log } from '@kube2iam-ts/agent-runtime'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAuditFile } from './audit-file.ts'

const record: AuditRecord = {
  time: '2026-01-01T00:00:00.000Z',
  action: 'issued',
  pod: 'default/web-0',
  uid: 'u',
  serviceAccount: 'default',
  role: 'arn:aws:iam::123456789012:role/web',
  reason: 'prefetch',
}
let directory: string
let said: string[] = []
const log: Log = { enabled: () => true, write: (_level, message) => void said.push(message) }

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kube2iam-audit-'))
  said = []
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('each record is a line of JSON at the end of a file that only the agent reads', async () => {
  const path = join(directory, 'audit.jsonl')
  const audit = createAuditFile(path, log)
  audit(record)
  audit({ ...record, action: 'renewed' })
  await expect.poll(() => readFileSync(path, 'utf8').split('\n').length).toBe(3)
  const [first = '', second = ''] = readFileSync(path, 'utf8').split('\n')
  expect(JSON.parse(first)).toEqual(record)
  expect(JSON.parse(second)).toMatchObject({ action: 'renewed' })
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a file that cannot be written costs one line of the log and no record of another', async () => {
  const audit = createAuditFile(join(directory, 'no', 'such', 'folder'), log)
  audit(record)
  await expect.poll(() => said).toEqual(['the audit log cannot be written'])
  audit(record)
  expect(said).toHaveLength(1)
})

test('without a path nothing is kept', () => {
  expect(() => createAuditFile(undefined, log)(record)).not.toThrow()
})
