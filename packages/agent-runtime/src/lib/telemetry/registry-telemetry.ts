import type { Report } from '@kube2iam-ts/core'
import type { RegistryEvent } from '@kube2iam-ts/pod-registry'
import type { Output } from './output.ts'

/** What became of the watches, and of the addresses that they are about. */
export function createRegistryTelemetry({
  log,
  metrics,
}: Pick<Output, 'log' | 'metrics'>): Report<RegistryEvent> {
  return (event) => {
    switch (event.kind) {
      case 'feed-synced':
        return log.write('info', 'watch is synced', {
          resource: event.feed,
          items: event.items,
          tookMs: Math.round(event.tookMs),
        })
      case 'feed-relisted':
        metrics.corrections.inc({ resource: event.feed }, event.corrected)
        return log.write('info', 'watch began anew', {
          resource: event.feed,
          items: event.items,
          corrected: event.corrected,
        })
      case 'feed-stale':
        metrics.feedProblems.inc({ resource: event.feed, code: event.code })
        return log.write('warn', 'watch lost touch', {
          resource: event.feed,
          code: event.code,
          message: event.message,
        })
      case 'feed-recovered':
        return log.write('info', 'watch is in touch again', {
          resource: event.feed,
          afterMs: Math.round(event.afterMs),
        })
      case 'pod':
        return log.write('debug', 'pod changed', {
          change: event.change,
          pod: `${event.pod.namespace}/${event.pod.name}`,
          uid: event.pod.uid,
          addresses: event.pod.addresses,
        })
      case 'address-ambiguous':
        metrics.podAmbiguous.inc()
        return log.write('warn', 'address is claimed by more than one pod', {
          address: event.address,
          pods: event.pods.map((pod) => `${pod.namespace}/${pod.name}`),
        })
      case 'address-resolved':
        return log.write('info', 'address belongs to one pod again', { address: event.address })
      case 'address-in-doubt':
        metrics.podInDoubt.inc()
        // Who asks from there decides how often; the line for people is the credential service's.
        return log.write('debug', 'address comes by a younger interface than its pod', {
          address: event.address,
          pod: `${event.pod.namespace}/${event.pod.name}`,
          uid: event.pod.uid,
          interface: event.interface,
        })
      case 'address-out-of-doubt':
        return log.write(event.by === 'time' ? 'info' : 'debug', 'address is in doubt no more', {
          address: event.address,
          pod: `${event.pod.namespace}/${event.pod.name}`,
          by: event.by,
          afterMs: Math.round(event.afterMs),
        })
      case 'lookup-waited':
        metrics.lookupWaits.observe({ outcome: event.outcome }, event.waitedMs / 1_000)
        return
      case 'lookup-overloaded':
        metrics.rejected.inc({ reason: 'too-many-waiting' })
        return log.write('debug', 'too many wait for an address', {
          address: event.address,
          waiting: event.waiting,
        })
      case 'address-confirmed':
        metrics.confirmations.inc({ outcome: event.outcome })
        return log.write('debug', 'asked the API server about an address', {
          address: event.address,
          outcome: event.outcome,
          tookMs: Math.round(event.tookMs),
        })
      default:
        return event satisfies never
    }
  }
}
