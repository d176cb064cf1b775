import { isCoded, type Report } from '@kube2iam-ts/core'
import type { CaptureEvent } from '@kube2iam-ts/iptables-manager'
import { aboutNode } from '../kubernetes/object-events.ts'
import type { LogLevel } from './log.ts'
import type { Output } from './output.ts'

/** Everything about the rules is rare and worth a line, but for the regular look. */
const LEVELS: Readonly<Record<string, LogLevel | undefined>> = {
  'capture-looked': 'debug',
  'capture-interface-without-pods': 'warn',
  'capture-ipv6-dropped': 'warn',
  'capture-look-failed': 'error',
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
    switch (event.type) {
      case 'capture-repaired':
        metrics.repairs.inc({ reason: event.reason })
        break
      case 'capture-look-failed':
        metrics.interceptionErrors.inc({ code: isCoded(event.error) ? event.error.code : 'unknown' })
        break
      case 'capture-interface-without-pods':
        if (node !== undefined) {
          objectEvents.record({
            subject: aboutNode(node),
            type: 'Warning',
            action: 'Intercept',
            reason: 'InterfaceWithoutPods',
            message: `--host-interface=${event.interface} carries no pod of this node, so that their metadata requests are not redirected; ${event.suggestion}`,
          })
        }
        break
      default:
    }
    log.write(LEVELS[type] ?? 'info', type.replaceAll('-', ' '), fields)
  }
}
