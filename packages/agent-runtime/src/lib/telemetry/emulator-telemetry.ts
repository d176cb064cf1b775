import type { Report } from '@kube2iam-ts/core'
import type { EmulatorEvent } from '@kube2iam-ts/metadata-emulator'
import type { Output } from './output.ts'

/** One line for each request, as kube2iam has it, and what it cost. */
export function createEmulatorTelemetry({
  log,
  metrics,
}: Pick<Output, 'log' | 'metrics'>): Report<EmulatorEvent> {
  return (event) => {
    switch (event.kind) {
      case 'request': {
        const { service, route, outcome, status, durationMs, peer, pod, tokenVersion } = event
        metrics.requests.count(event)
        if (outcome === 'rate-limited') metrics.rateLimited.inc()
        // A pod that is refused for asking too often must not fill the log instead.
        const level =
          outcome === 'rate-limited' ? 'debug' : outcome === 'ok' || status < 500 ? 'info' : 'warn'
        if (!log.enabled(level)) return
        return log.write(level, 'request', {
          service,
          route,
          outcome,
          status,
          durationMs: round(durationMs),
          peer,
          pod,
          tokenVersion,
        })
      }
      case 'rejected': {
        const { reason, status, peer } = event
        metrics.rejected.inc({ reason })
        return log.write('debug', 'request rejected', { reason, status, peer })
      }
      case 'upstream':
        metrics.upstream.inc({ outcome: event.outcome })
        return log.write(event.outcome === 'unavailable' ? 'warn' : 'debug', 'asked the metadata service', {
          outcome: event.outcome,
          status: event.status,
          durationMs: round(event.durationMs),
        })
      case 'bug':
        metrics.bugs.inc()
        return log.write('error', 'a request failed in a way that it may not', { error: event.error })
      default:
        return event satisfies never
    }
  }
}

const round = (ms: number): number => Math.round(ms * 1_000) / 1_000
