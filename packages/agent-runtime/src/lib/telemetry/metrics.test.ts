import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

const registry = new Registry()
createMetrics(registry, {
  parts: () => [{ name: 'watch', ok: true }],
  ready: () => true,
  pods: () => 3,
  waiting: () => 0,
  watchAgeMs: () => ({ pods: 1_500 }),
  sessions: () => [{ expiration: new Date(90_000) }, { expiration: new Date(30_000) }],
  now: () => 10_000,
  residentBytes: () => 1,
  cpuSeconds: () => 2,
  auditLost: () => 0,
})

test('docs/metrics.md has a row for each metric with its labels, and no others', async () => {
  const document = readFileSync(new URL('../../../../../docs/metrics.md', import.meta.url), 'utf8')
  const documented = [...document.matchAll(/^\| `(kube2iam_\w+)` \| ([^|]*) \|/gm)].map(
    ([, name, labels = '']) => [name, labels.replaceAll(/[`\s]/g, '')],
  )
  const made = (await registry.getMetricsAsJSON()).map(({ name }) => {
    const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: readonly string[] }
    return [name, labelNames.join(',')]
  })
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(made))
})

test('what is only known when asked is asked then', async () => {
  const text = await registry.metrics()
  expect(text).toContain('kube2iam_pods 3')
  expect(text).toContain('kube2iam_session_shortest_life_seconds 20')
  expect(text).toContain('kube2iam_watch_age_seconds{resource="pods"} 1.5')
  expect(text).toContain('kube2iam_part_ok{part="watch"} 1')
})
