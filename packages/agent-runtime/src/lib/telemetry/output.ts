import type { ObjectEvents } from '../kubernetes/object-events.ts'
import type { AuditSink } from './audit.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Where events end. */
export interface Output {
  readonly log: Log
  readonly metrics: Metrics
  readonly audit: AuditSink
  readonly objectEvents: Pick<ObjectEvents, 'record' | 'forget'>
}
