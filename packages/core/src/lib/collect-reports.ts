import type { Report } from './report.ts'

/** A report that keeps what it was told. */
export interface CollectedReports<Event> {
  readonly events: Event[]
  readonly report: Report<Event>
}

export function collectReports<Event>(): CollectedReports<Event> {
  const events: Event[] = []
  return { events, report: (event) => events.push(event) }
}
