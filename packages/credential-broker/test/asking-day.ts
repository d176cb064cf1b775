import { expect } from 'vitest'
import { createFleet, HOUR, MINUTE, SECOND } from './fleet.ts'

/** How long after an answer with so much life left a pod asks again; `undefined`: never. */
type Habit = (leftMs: number) => number | undefined

/** When SDKs ask: by a beat, or so long before the end of what they hold. */
const HABITS: Readonly<Record<string, Habit>> = {
  'every 2 min': () => 2 * MINUTE,
  '15 min before the end': (left) => Math.max(MINUTE, left - 15 * MINUTE),
  '5 min before the end': (left) => Math.max(MINUTE, left - 5 * MINUTE),
  'at the end': (left) => left,
  'every 90 min': () => 90 * MINUTE,
  'every 4 h': () => 4 * HOUR,
  once: () => undefined,
}

/** A one-hour session is renewed no earlier (session-life.ts). */
const EARLIEST_MS = 24 * MINUTE
/** SDKs wait a second for an answer; the agent answers before. */
const PATIENCE_MS = 900

/**
 * A day of pods for which nothing is fetched ahead, who only ask, each in its own way: none ever sees a document with
 * less than half an hour of life, and what nobody asks for any more is renewed no more.
 */
export async function provesAskingDay(hours: number, podsPerHabit = 16): Promise<string> {
  const habits = Object.entries(HABITS)
  const { clock, sts, pods, close } = createFleet({ nodes: 1, podsPerNode: habits.length * podsPerHabit })
  sts.latencyMs = 300
  const seen = new Map(habits.map(([name]) => [name, { requests: 0, leastLifeMs: Number.POSITIVE_INFINITY }]))
  const over = new AbortController()
  const lives = pods.map(async ({ broker, owner, grant }, index) => {
    const [name, habit] = habits[index % habits.length]!
    const tally = seen.get(name)!
    const { signal } = over
    // Off each other's beat.
    let wait: number | undefined = (index / pods.length) * HOUR + index * 7 * SECOND
    while (wait !== undefined) {
      await clock.sleep(wait, signal)
      const deadline = clock.monotonic() + PATIENCE_MS
      const answer = await broker.credentials(grant, { owner, signal, deadline })
      if (answer.kind !== 'credentials') throw new Error(`${owner.name}: ${answer.code}`)
      const left = answer.credentials.expiration.getTime() - clock.now() - sts.skewMs
      tally.requests += 1
      tally.leastLifeMs = Math.min(tally.leastLifeMs, left)
      wait = habit(left)
    }
  })
  const lived = Promise.allSettled(lives)
  await clock.advance(hours * HOUR)
  over.abort()
  const failed = (await lived).filter((life) => life.status === 'rejected' && life.reason?.code !== 'ABORTED')
  const callsOf = (name: string) => {
    const theirs = new Set(
      pods.flatMap(({ grant }, i) => (habits[i % habits.length]![0] === name ? grant.sessionName : [])),
    )
    return sts.calls.filter(({ grant }) => theirs.has(grant.sessionName)).length / podsPerHabit
  }
  const lines = habits.map(([name]) => {
    const { requests, leastLifeMs } = seen.get(name)!
    return `${name.padEnd(22)} ${String(requests).padStart(6)} requests, ${callsOf(name).toFixed(1).padStart(5)} STS calls a pod, least life seen ${(leastLifeMs / MINUTE).toFixed(1)} min`
  })
  await close()

  expect(failed).toEqual([])
  for (const [name] of habits) {
    const { leastLifeMs } = seen.get(name)!
    // Who asks within an hour finds a renewed one. Who comes later may find one that is let go, and is content with 25
    // minutes where STS takes longer than a quarter of a second.
    expect(leastLifeMs, name).toBeGreaterThanOrEqual((name === 'every 90 min' ? 25 : 30) * MINUTE)
  }
  // Never more than a session that is renewed without end, and no more than twice for one request alone.
  const most = 1 + (hours * HOUR) / EARLIEST_MS
  for (const [name] of habits) expect(callsOf(name), name).toBeLessThanOrEqual(most)
  for (const name of ['every 4 h', 'once']) {
    expect(callsOf(name), name).toBeLessThanOrEqual((3 * seen.get(name)!.requests) / podsPerHabit)
  }
  return `${pods.length} pods that only ask, ${hours} h, ${sts.calls.length} STS calls\n${lines.join('\n')}\n`
}
