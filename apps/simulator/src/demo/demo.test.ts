import { expect, test } from 'vitest'
import { renderTable } from '../output/table.ts'
import { DEMO_CASES, LEAVER } from './cases.ts'
import { isRight } from './demo.ts'
import type { PodResult } from './pod-messages.ts'
import { demoTable } from './report.ts'

const [short] = DEMO_CASES
const byKind = (kind: string) => {
  const found = DEMO_CASES.find((demo) => demo.kind === kind)
  if (found === undefined) throw new Error(kind)
  return found
}
const credentials = (callerArn: string, account = '123456789012'): PodResult => ({
  outcome: 'credentials',
  tookMs: 12,
  callerArn,
  account,
  accessKeyId: 'ASIA',
  expiration: '',
})

test('the dozen kinds are there, each pod at an address of its own', () => {
  expect(DEMO_CASES.length).toBeGreaterThanOrEqual(12)
  const addresses = DEMO_CASES.map(({ short: { ip } }) => ip?.[0])
  expect(new Set(addresses).size).toBe(addresses.length)
  expect(LEAVER.short.ip).toEqual(byKind('address of a pod just gone').short.ip)
})

test('right is the pod’s own role in its own account, and nothing else', () => {
  if (short === undefined) throw new Error('no case')
  expect(isRight(short, credentials('arn:aws:sts::123456789012:assumed-role/shop-web/shop.web'))).toBe(true)
  expect(isRight(short, credentials('arn:aws:sts::123456789012:assumed-role/shop-web-admin/x'))).toBe(false)
  expect(
    isRight(short, credentials('arn:aws:sts::999999999999:assumed-role/shop-web/x', '999999999999')),
  ).toBe(false)
  expect(isRight(short, { outcome: 'refused', tookMs: 1, status: 503, code: undefined, message: '' })).toBe(
    false,
  )
})

const refused = (status: number | undefined, code?: string): PodResult => ({
  outcome: 'refused',
  tookMs: 1,
  status,
  code,
  message: '',
})

test('a pod that should be refused is wrong with anything, and with any other refusal', () => {
  const plain = byKind('no annotation')
  expect(isRight(plain, refused(503))).toBe(false)
  expect(isRight(plain, refused(undefined, 'AssumeRoleUnauthorizedAccess'))).toBe(false)
  expect(isRight(byKind('host network'), refused(404))).toBe(true)
  expect(isRight(byKind('host network'), refused(503))).toBe(false)
  const stranger = byKind('wrong external ID')
  expect(isRight(stranger, refused(undefined, 'AssumeRoleUnauthorizedAccess'))).toBe(true)
  expect(isRight(stranger, refused(undefined))).toBe(false)
  expect(isRight(stranger, refused(404))).toBe(false)
  expect(isRight(plain, refused(404))).toBe(true)
  expect(isRight(plain, { outcome: 'answered', tookMs: 1, status: 200, body: 'x' })).toBe(false)
  expect(isRight(plain, credentials('arn:aws:sts::123456789012:assumed-role/kube-node/i-1'))).toBe(false)
})

test('the table says what should have been where it was not', () => {
  if (short === undefined) throw new Error('no case')
  const result = { outcome: 'refused', tookMs: 7, status: 503, code: undefined, message: '' } as const
  const table = renderTable(demoTable([{ demo: short, result, right: false }]), { colour: false })
  expect(table).toMatch(
    /shop\/web .* nothing: 503 +7 ms +✗ should get arn:aws:iam::123456789012:role\/shop-web/,
  )
  const late = renderTable(demoTable([{ demo: byKind('host network'), result, right: false }]), {
    colour: false,
  })
  expect(late).toContain('✗ should get nothing: 404')
})
