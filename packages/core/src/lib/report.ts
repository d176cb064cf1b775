/** Where a package tells what happened. It must not throw and must not block. */
export type Report<Event> = (event: Event) => void

/** For callers that do not want to know. */
export const ignoreReports: Report<unknown> = () => {}
