import { expect, test } from 'vitest'
import { createHistogram } from './histogram.ts'
import { simulateFleet } from './model.ts'
import { DEFAULT_FLEET, readFleetFlag } from './options.ts'
import { fleetCsv, fleetJson } from './report.ts'
import { fleetHtml } from './report-html.ts'
import { variantsOf } from './vary.ts'

const small = { ...DEFAULT_FLEET, nodes: 10, podsPerNode: 20, hours: 6, churnPerHour: 0 }

test('a quiet fleet renews each session between 40 and 47 % of its life', () => {
  const { stsCalls, throttled, gaps } = simulateFleet({ ...small, hours: 48 })
  const renewalsPerHour = 1 / (0.4 + 1 / 30)
  expect(stsCalls / (200 * (1 + 48 * renewalsPerHour))).toBeCloseTo(1, 1)
  expect({ throttled, gaps: gaps.count }).toEqual({ throttled: 0, gaps: 0 })
})

test('the same seed gives the same day, another seed another', () => {
  const options = { ...small, churnPerHour: 0.3 }
  expect(simulateFleet(options)).toEqual(simulateFleet(options))
  expect(simulateFleet({ ...options, seed: 2 }).minutes).not.toEqual(simulateFleet(options).minutes)
})

test('pods that share a role share a session on their node', () => {
  const byPod = simulateFleet(small)
  const byRole = simulateFleet({ ...small, sessionScope: 'role', roles: 5 })
  expect(byRole.sessionsPerNode).toBe(5)
  expect(byRole.stsCalls / byPod.stsCalls).toBeCloseTo(5 / 20, 1)
})

test('a quota that is too small throttles, and pods wait for their first credentials', () => {
  const options = { ...small, nodes: 50, quota: 1, quotaBurst: 1 }
  const { throttledShare, firstCredentialsMs } = simulateFleet(options)
  expect(throttledShare).toBeGreaterThan(0.05)
  expect(firstCredentialsMs.p99).toBeGreaterThan(60_000)
  const spread = simulateFleet({ ...options, accounts: 10 })
  expect(spread.throttledShare).toBeLessThan(throttledShare)
})

test('an outage of STS that is shorter than half a session opens no gap, one that is longer does', () => {
  const outage = { ...small, stsOutageAtMs: 2 * 3_600_000 }
  const short = simulateFleet({ ...outage, stsOutageForMs: 25 * 60_000 })
  expect(short.failed).toBeGreaterThan(0)
  expect(short.gaps.count).toBe(0)
  const long = simulateFleet({ ...outage, stsOutageForMs: 90 * 60_000 })
  expect(long.gaps.count).toBeGreaterThan(150)
})

test('renewing on demand, as kube2iam does, makes pods wait in the middle of an outage', () => {
  const outage = { ...small, stsOutageAtMs: 2 * 3_600_000, stsOutageForMs: 25 * 60_000 }
  expect(simulateFleet(outage).gaps.count).toBe(0)
  expect(simulateFleet({ ...outage, refresh: 'on-demand' }).gaps.count).toBeGreaterThan(0)
})

test('a roll-out fetches every session again; all at once is the larger peak', () => {
  const none = simulateFleet({ ...small, nodes: 100 })
  const rolling = simulateFleet({ ...small, nodes: 100, rollOut: 'rolling' })
  const atOnce = simulateFleet({ ...small, nodes: 100, rollOut: 'all-at-once', rollOutNodeMs: 1000 })
  expect(rolling.stsCalls).toBeGreaterThan(none.stsCalls)
  expect(atOnce.callsPerSecond.peak).toBeGreaterThan(rolling.callsPerSecond.peak)
})

test('when a zone is lost the others take its pods over', () => {
  const { sessionsPerNode, callsPerSecond } = simulateFleet({
    ...small,
    nodes: 30,
    zoneOutageAtMs: 3_600_000,
  })
  expect(sessionsPerNode).toBe(30)
  expect(callsPerSecond.peak).toBeGreaterThan(simulateFleet({ ...small, nodes: 30 }).callsPerSecond.peak)
})

test('every combination of varied settings is compared', () => {
  expect(variantsOf(small, ['session-scope=pod,role', 'quota=10,20'])).toMatchObject([
    { name: 'session-scope=pod, quota=10', options: { sessionScope: 'pod', quota: 10 } },
    { name: 'session-scope=pod, quota=20' },
    { name: 'session-scope=role, quota=10' },
    { name: 'session-scope=role, quota=20', options: { sessionScope: 'role', quota: 20 } },
  ])
})

test.each([
  ['nodes=many', '--vary nodes: expected a whole number from 1 to 50000, found "many"'],
  ['scope', '--vary: expected option=value,value, found "scope"'],
  ['sope=pod', '--vary there is no option sope; the options are nodes,'],
])('%s is refused in words', (setting, message) => {
  expect(variantsOf(small, [setting])).toContain(message)
})

test('options are read with their units', () => {
  expect(readFleetFlag('session-duration', '1h30m')).toEqual({ sessionDurationMs: 5_400_000 })
  expect(readFleetFlag('session-duration', '90')).toBe(
    'session-duration: expected a duration such as 1h, found "90"',
  )
})

test('percentiles are right to 5 %', () => {
  const histogram = createHistogram()
  for (let value = 1; value <= 10_000; value += 1) histogram.add(value)
  expect(histogram.quantile(0.5) / 5000).toBeCloseTo(1, 1)
  expect(histogram.quantile(0.99) / 9900).toBeCloseTo(1, 1)
  expect(createHistogram().quantile(0.5)).toBe(0)
})

test('reports hold every variant; the page needs nothing from outside and escapes what it shows', () => {
  const results = [{ name: 'a <b> & "c"', result: simulateFleet({ ...small, hours: 1 }) }]
  expect(fleetCsv(results).split('\n')[1]).toMatch(/^"a <b> & ""c""",\d+,/)
  expect(JSON.parse(fleetJson(results))).toMatchObject({
    results: [{ settings: 'a <b> & "c"', stsCalls: expect.any(Number) }],
  })
  const page = fleetHtml(results)
  expect(page).toContain('a &#60;b&#62; &#38; &#34;c&#34;')
  expect(page).not.toMatch(/<b>|https?:\/\/|<script/)
})
