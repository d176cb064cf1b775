import { isCoded, type Report } from '@kube2iam-ts/core'
import type { CaptureEvent } from '@kube2iam-ts/iptables-manager'
import { aboutNode } from '../kubernetes/object-events.ts'
import type { LogLevel } from './log.ts'
import type { Output } from './output.ts'

/** Everything about the rules is rare and worth a line, but for the regular look. */
const LEVELS: Readonly<Partial<Record<CaptureEvent['type'], LogLevel>>> = {
  'capture-looked': 'debug',
  'capture-interface-without-pods': 'warn',
  'capture-pods-apart': 'warn',
  'capture-ipv6-not-redirected': 'warn',
  'capture-routing-guard-unavailable': 'warn',
  'capture-look-failed': 'error',
  'capture-taken-over': 'warn',
  'capture-contended': 'warn',
  'capture-conntrack-unavailable': 'warn',
  'capture-monitor-lost': 'warn',
}

/** What the rules' keeper tells, as lines, metrics, and an event on the node where somebody has to act. */
export function createCaptureTelemetry(
  { log, metrics, objectEvents }: Pick<Output, 'log' | 'metrics' | 'objectEvents'>,
  { node }: { readonly node: string | undefined },
): Report<CaptureEvent> {
  return (event) => {
    const { type, ...fields } = event
    if (event.type === 'capture-repaired') metrics.repairs.inc({ reason: event.reason })
    if (event.type === 'capture-look-failed') {
      metrics.interceptionErrors.inc({ code: isCoded(event.error) ? event.error.code : 'unknown' })
    }
    if (event.type === 'capture-interface-without-pods' && node !== undefined) {
      objectEvents.record({
        subject: aboutNode(node),
        type: 'Warning',
        action: 'Intercept',
        reason: 'InterfaceWithoutPods',
        message: `--host-interface=${event.interface} carries no pod of this node, so that their metadata requests are not redirected; ${event.suggestion}`,
      })
    }
    log.write(LEVELS[type] ?? 'info', type.replaceAll('-', ' '), fields)
  }
}
