import type { RequestEvent } from '@kube2iam-ts/metadata-emulator'
import { Counter, type Histogram, type Registry } from 'prom-client'

/** Counts requests of pods by what came of them, and how long they took. */
export interface RequestMetrics {
  count(event: RequestEvent): void
}

/** Requests that are alike in every label. */
interface Tally {
  readonly service: string
  readonly outcome: string
  readonly status: number
  readonly tokenVersion: number
  count: number
  /** What of `count` prom-client has. */
  told: number
  readonly times: Times
}

/** The times of one status and route. */
interface Times {
  readonly code: number
  readonly handler: string
  /** By bucket, not cumulated; what is above the last one is in `count` alone. */
  readonly buckets: number[]
  count: number
  seconds: number
}

/**
 * prom-client makes a text of the labels for each count, to look it up: five times as dear as the counting, once for
 * the counter and once for the histogram of every request. Here the tally is found by comparing a few words that are
 * the same objects each time, and becomes prom-client's when somebody scrapes. There are as many tallies as label sets:
 * none holds what a pod could choose.
 */
export function createRequestMetrics(registry: Registry, bounds: readonly number[]): RequestMetrics {
  const tallies = new Map<string, Tally[]>()
  const times: Times[] = []

  const timesOf = (code: number, handler: string): Times => {
    const known = times.find((one) => one.code === code && one.handler === handler)
    if (known !== undefined) return known
    const made: Times = { code, handler, buckets: bounds.map(() => 0), count: 0, seconds: 0 }
    times.push(made)
    return made
  }

  const tallyOf = ({ service, route, outcome, status, tokenVersion }: RequestEvent): Tally => {
    const ofRoute = tallies.get(route) ?? []
    for (const one of ofRoute) {
      if (
        one.outcome === outcome &&
        one.status === status &&
        one.tokenVersion === tokenVersion &&
        one.service === service
      ) {
        return one
      }
    }
    const made = { service, outcome, status, tokenVersion, count: 0, told: 0, times: timesOf(status, route) }
    ofRoute.push(made)
    tallies.set(route, ofRoute)
    return made
  }

  const requests = new Counter({
    name: 'kube2iam_requests_total',
    help: 'Requests of pods.',
    labelNames: ['service', 'handler', 'outcome', 'token_version'],
    registers: [],
    collect() {
      for (const [handler, ofRoute] of tallies) {
        for (const tally of ofRoute) {
          const { service, outcome, tokenVersion } = tally
          this.inc({ service, handler, outcome, token_version: tokenVersion }, tally.count - tally.told)
          tally.told = tally.count
        }
      }
    },
  })
  registry.registerMetric(requests)
  registry.registerMetric(durations(times, bounds) as unknown as Histogram)

  return {
    count(event) {
      const tally = tallyOf(event)
      tally.count += 1
      const seconds = event.durationMs / 1_000
      const { times: of } = tally
      of.count += 1
      of.seconds += seconds
      for (let at = 0; at < bounds.length; at += 1) {
        if (seconds <= (bounds[at] ?? 0)) {
          of.buckets[at] = (of.buckets[at] ?? 0) + 1
          return
        }
      }
    },
  }
}

/** A histogram as prom-client's registry reads one: it has no way to be told of many observations at once. */
function durations(times: readonly Times[], bounds: readonly number[]) {
  const name = 'kube2iam_http_request_duration_seconds'
  const valuesOf = ({ code, handler, buckets, count, seconds }: Times) => {
    const labels = { code, handler }
    let below = 0
    return [
      ...bounds.map((le, at) => {
        below += buckets[at] ?? 0
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below }
      }),
      { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count },
      { metricName: `${name}_sum`, labels, value: seconds },
      { metricName: `${name}_count`, labels, value: count },
    ]
  }
  const help = 'Time to answer a request of a pod.'
  return {
    name,
    labelNames: ['code', 'handler'],
    get: async () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: times.flatMap(valuesOf),
    }),
  }
}
