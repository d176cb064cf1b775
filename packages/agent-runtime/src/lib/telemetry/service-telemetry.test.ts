import { aPod, createFakeClock } from '@kube2iam-ts/core/testing'
import type { EventNote } from '@kube2iam-ts/pod-registry/kubernetes'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import type { AuditRecord } from './audit.ts'
import { createMetrics } from './metrics.ts'
import { createServiceTelemetry } from './service-telemetry.ts'

function setUp() {
  const clock = createFakeClock()
  const registry = new Registry()
  const metrics = createMetrics(registry, {
    parts: () => [],
    ready: () => true,
    pods: () => 0,
    waiting: () => 0,
    watchAgeMs: () => ({}),
    sessions: () => [],
    now: () => 0,
    residentBytes: () => 0,
    cpuSeconds: () => 0,
    auditLost: () => 0,
  })
  const lines: string[] = []
  const records: AuditRecord[] = []
  const notes: EventNote[] = []
  const report = createServiceTelemetry(
    {
      log: { enabled: () => true, write: (_level, message) => void lines.push(message) },
      metrics,
      audit: (record) => void records.push(record),
      objectEvents: { record: (note) => void notes.push(note), forget: () => {} },
    },
    { clock, clusterName: undefined },
  )
  return { clock, registry, lines, records, notes, report }
}

const mismatch = (requested: string) =>
  ({
    kind: 'denied',
    code: 'role-mismatch',
    message: `it asked for role "${requested}", and its own is web`,
    role: 'web',
  }) as const

test('a pod that asks for a thousand roles by name makes one line, one record, one event and a thousand counts', async () => {
  const { registry, lines, records, notes, report } = setUp()
  const pod = aPod({ name: 'loud' })
  for (let index = 0; index < 1_000; index += 1) {
    report({ kind: 'denied', pod, denial: mismatch(`r${index}`), by: 'request' })
  }
  expect([lines.length, records.length, notes.length]).toEqual([1, 1, 1])
  expect(await registry.metrics()).toContain('kube2iam_denials_total{code="role-mismatch"} 1000')
})

test('the next pod is heard while one is loud, and the loud one again after a minute', async () => {
  const { clock, records, report } = setUp()
  for (let index = 0; index < 5_000; index += 1) {
    report({ kind: 'denied', pod: aPod({ name: 'loud' }), denial: mismatch(`r${index}`), by: 'request' })
  }
  report({ kind: 'denied', pod: aPod({ name: 'quiet' }), denial: mismatch('x'), by: 'request' })
  expect(records.map(({ pod }) => pod)).toEqual(['default/loud', 'default/quiet'])
  await clock.advance(60_000)
  report({ kind: 'denied', pod: aPod({ name: 'loud' }), denial: mismatch('x'), by: 'request' })
  expect(records).toHaveLength(3)
})

test('different warnings about a pod are each said, up to a number', () => {
  const { lines, report } = setUp()
  const pod = aPod({ name: 'loud' })
  for (let index = 0; index < 1_000; index += 1) report({ kind: 'warned', pod, message: `cut to ${index}` })
  expect(lines).toHaveLength(10)
})

test('what was said of most pods is remembered when there are very many', () => {
  const { lines, report } = setUp()
  const denials = (from: number, to: number) => {
    for (let index = from; index < to; index += 1) {
      report({ kind: 'denied', pod: aPod({ name: `p${index}` }), denial: mismatch('x'), by: 'request' })
    }
  }
  denials(0, 2_001)
  expect(lines).toHaveLength(2_001)
  denials(1, 2_001)
  expect(lines).toHaveLength(2_001)
})
