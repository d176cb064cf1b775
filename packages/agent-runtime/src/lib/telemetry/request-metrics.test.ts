import type { RequestEvent } from '@kube2iam-ts/metadata-emulator'
import fc from 'fast-check'
import { Counter, Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createRequestMetrics } from './request-metrics.ts'

const BOUNDS = [0.001, 0.002, 0.004]

const anEvent: fc.Arbitrary<RequestEvent> = fc.record({
  kind: fc.constant('request' as const),
  service: fc.constantFrom('imds' as const, 'container' as const),
  route: fc.constantFrom('role-list' as const, 'role-document' as const),
  outcome: fc.constantFrom('ok' as const, 'no-role' as const),
  status: fc.constantFrom(200, 404),
  // The bounds themselves among them.
  durationMs: fc.oneof(fc.constantFrom(1, 2, 4), fc.double({ min: 0, max: 6, noNaN: true })),
  peer: fc.constant('10.0.0.1'),
  pod: fc.constant(undefined),
  tokenVersion: fc.constantFrom(1 as const, 2 as const),
})

/** The same counted by prom-client alone. */
function byPromClient() {
  const registry = new Registry()
  const registers = [registry]
  const labelNames = ['service', 'handler', 'outcome', 'token_version'] as const
  const requests = new Counter({
    name: 'kube2iam_requests_total',
    help: 'Requests of pods.',
    labelNames,
    registers,
  })
  const seconds = new Histogram({
    name: 'kube2iam_http_request_duration_seconds',
    help: 'Time to answer a request of a pod.',
    labelNames: ['code', 'handler'],
    buckets: BOUNDS,
    registers,
  })
  const count = ({ service, route, outcome, status, durationMs, tokenVersion }: RequestEvent) => {
    seconds.observe({ code: status, handler: route }, durationMs / 1_000)
    requests.inc({ service, handler: route, outcome, token_version: tokenVersion })
  }
  return { registry, count }
}

const lines = async (registry: Registry) => new Set((await registry.metrics()).split('\n'))

test('a scrape says what prom-client would say of the same requests, each time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(anEvent), { minLength: 1, maxLength: 3 }), async (scrapes) => {
      const registry = new Registry()
      const metrics = createRequestMetrics(registry, BOUNDS)
      const other = byPromClient()
      for (const events of scrapes) {
        for (const event of events) {
          metrics.count(event)
          other.count(event)
        }
        expect(await lines(registry)).toEqual(await lines(other.registry))
      }
    }),
  )
})
