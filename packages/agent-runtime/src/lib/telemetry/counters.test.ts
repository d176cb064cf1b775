import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'
import { createRegistryTelemetry } from './registry-telemetry.ts'
import { createTokenServiceTelemetry } from './token-service-telemetry.ts'

function setUp() {
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
  const output = { metrics, log: { enabled: () => true, write: () => {} } }
  return { registry, output }
}

test('what a new list corrected is counted by resource, and lists that corrected nothing add nothing', async () => {
  const { registry, output } = setUp()
  const report = createRegistryTelemetry(output)
  report({ kind: 'feed-relisted', feed: 'pods', items: 9, corrected: 2 })
  report({ kind: 'feed-relisted', feed: 'pods', items: 9, corrected: 1 })
  report({ kind: 'feed-relisted', feed: 'namespaces', items: 9, corrected: 0 })
  const text = await registry.metrics()
  expect(text).toContain('kube2iam_watch_corrections_total{resource="pods"} 3')
  expect(text).toContain('kube2iam_watch_corrections_total{resource="namespaces"} 0')
})

test('who the agent is to STS counts as no adaptation', async () => {
  const { registry, output } = setUp()
  const report = createTokenServiceTelemetry(output)
  report({ kind: 'node-identified', arn: 'a', account: '1' })
  report({ kind: 'warm-up-failed', code: 'STS_UNAVAILABLE', message: 'm' })
  report({ kind: 'clock-right-again' })
  report({ kind: 'node-credentials-replaced', refused: 'x', accessKeyId: 'y' })
  report({ kind: 'clock-corrected', skewMs: 1 })
  report({ kind: 'region-replaced', region: 'ap-east-1', by: 'us-east-1', message: 'm' })
  report({
    kind: 'duration-clamped',
    role: 'r',
    askedSeconds: 7_200,
    givenSeconds: 3_600,
    because: 'role-chaining',
  })
  report({ kind: 'tags-left-out', role: 'r', sessionName: 's', message: 'm' })
  const kinds = [
    ...(await registry.metrics()).matchAll(/kube2iam_sts_adaptations_total\{kind="([\w-]+)"\} 1/g),
  ].map(([, kind]) => kind)
  expect(new Set(kinds)).toEqual(
    new Set([
      'clock-corrected',
      'duration-clamped',
      'node-credentials-replaced',
      'region-replaced',
      'tags-left-out',
    ]),
  )
})
