import type { FakeClock } from '@kube2iam-ts/core/testing'

/** Simulated time after which something that does not settle is a bug of the simulation. */
const STUCK_MS = 10 * 60_000

/** Lets time pass until the promise has settled: as much as it needs, and no more. */
export async function pump<Value>(clock: FakeClock, promise: Promise<Value>, what: string): Promise<Value> {
  const state = { settled: false }
  const watched = promise.finally(() => {
    state.settled = true
  })
  // A rejection is the caller's, who gets the promise itself.
  watched.catch(() => {})
  const until = clock.monotonic() + STUCK_MS
  await clock.advance(0)
  while (!state.settled) {
    const next = clock.nextAt
    if (next === undefined || next > until) throw new Error(`${what} never came to an end`)
    await clock.advance(next - clock.monotonic())
  }
  return promise
}
