import { expect } from 'vitest'
import { countPer, createFleet, HOUR, MINUTE, plot, SECOND } from './fleet.ts'

/** Renewals of a one-hour session are uniform between these ages (session-life.ts). */
const EARLIEST_MS = 24 * MINUTE
const LATEST_MS = 28 * MINUTE

/**
 * One node for some hours: its STS calls are as many as renewal theory says, and no request ever sees a document
 * with less than half an hour of life.
 */
export async function provesDay(hours: number, pods = 110): Promise<string> {
  const { clock, sts, wantAll, askAll, close } = createFleet({ nodes: 1, podsPerNode: pods })
  wantAll()
  await clock.advance(30 * SECOND)
  let leastLifeMs = Number.POSITIVE_INFINITY
  let requests = 0
  // Every two minutes, as the most eager SDK asks, and off the beat of everything else.
  for (let at = 0; at < hours * HOUR; at += 119 * SECOND) {
    await clock.advance(119 * SECOND)
    const asked = await askAll()
    expect(asked.failed).toBe(0)
    requests += asked.served
    leastLifeMs = Math.min(leastLifeMs, asked.leastLifeMs)
  }
  const lasted = clock.monotonic() - sts.calls[0]!.at
  await close()

  // Exactly: every interval between two calls for one session lies in the window …
  const byPod = Map.groupBy(sts.calls, ({ grant }) => grant.sessionName)
  expect(byPod.size).toBe(pods)
  for (const calls of byPod.values()) {
    for (let index = 1; index < calls.length; index += 1) {
      const interval = calls[index]!.at - calls[index - 1]!.at
      expect(interval).toBeGreaterThanOrEqual(EARLIEST_MS)
      expect(interval).toBeLessThanOrEqual(LATEST_MS + SECOND)
    }
  }
  // … and on the whole: a renewal process has t/μ + (σ² - μ²)/2μ² renewals up to t, and each session its first call.
  const mean = (EARLIEST_MS + LATEST_MS) / 2
  const variance = (LATEST_MS - EARLIEST_MS) ** 2 / 12
  const expected = pods * (1 + lasted / mean + (variance - mean ** 2) / (2 * mean ** 2))
  expect(Math.abs(sts.calls.length - expected) / expected).toBeLessThan(0.01)
  expect(leastLifeMs).toBeGreaterThanOrEqual(30 * MINUTE)
  return `${pods} pods, ${hours} h: ${requests} requests, ${sts.calls.length} STS calls (theory ${expected.toFixed(0)}), least life seen ${(leastLifeMs / MINUTE).toFixed(1)} min\n`
}

/** A fleet whose account is throttled to almost nothing for a quarter of an hour, and then is not any more. */
export async function provesThrottling(nodes: number, podsPerNode: number): Promise<string> {
  const { clock, sts, account, wantAll, askAll, close } = createFleet({ nodes, podsPerNode })
  const usual = 20
  Object.assign(account, { ratePerSecond: usual, burst: 2 * usual })
  wantAll()
  const began = clock.monotonic()
  let failed = 0
  const pass = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute += 1) {
      await clock.advance(MINUTE)
      failed += (await askAll()).failed
    }
  }
  // All nodes started at once: the herd of a power cut. It is over when every pod has its session.
  await clock.advance(10 * MINUTE)
  await pass(10)
  const throttledFrom = clock.monotonic()
  Object.assign(account, { ratePerSecond: 0.2, burst: 1 })
  await pass(15)
  const restoredAt = clock.monotonic()
  Object.assign(account, { ratePerSecond: usual, burst: 2 * usual })
  await pass(25)
  const ended = clock.monotonic()
  const { leastLifeMs } = await askAll()
  await close()

  const instants = sts.calls.map(({ at }) => at)
  const during = countPer(SECOND, instants, throttledFrom + 3 * MINUTE, restoredAt)
  const after = countPer(SECOND, instants, restoredAt, ended)
  const refused = sts.calls.filter(
    ({ at, outcome }) => at >= restoredAt && outcome === 'STS_THROTTLED',
  ).length
  expect(failed).toBe(0)
  expect(leastLifeMs).toBeGreaterThanOrEqual(30 * MINUTE)
  // No herd: no second asks for more than the account's burst, no ten seconds for more than it gives in ten, and
  // so hardly anybody is refused although everybody has something to catch up on.
  const perTenSeconds = countPer(10 * SECOND, instants, restoredAt, ended)
  expect(Math.max(...after)).toBeLessThanOrEqual(2 * usual)
  expect(Math.max(...perTenSeconds)).toBeLessThanOrEqual((10 + 2) * usual)
  expect(refused).toBeLessThanOrEqual(nodes * podsPerNode * 0.05)
  const perMinute = countPer(MINUTE, instants, began, ended).map((count) => count / 60)
  return [
    plot(
      `STS calls per second of ${nodes} nodes with ${podsPerNode} pods each, one column a minute`,
      perMinute,
    ),
    `throttled from minute 20 to 35: ${mean(during).toFixed(2)} calls/s while throttled, at most ${Math.max(...after)} in a second and ${Math.max(...perTenSeconds)} in ten after (the account gives ${usual}/s), ${refused} refused after, 0 of all requests failed\n`,
  ].join('\n')
}

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length
