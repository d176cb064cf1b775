import { parseSettings } from '@kube2iam-ts/agent-runtime'
import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { createFakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import { afterAll, expect, test } from 'vitest'
import { feedsOf } from './cluster.ts'

const clock = createFakeClock()
const random = createSeededRandom(1)
const server = createFakeApiServer({ clock })
afterAll(async () => {
  await server.close()
})

test.each([
  [[], 3_600_000],
  [['--relist-interval=20m'], 1_200_000],
  [['--relist-interval=0s'], undefined],
])('with %j everything is listed anew after %s ms', async (args, everyMs) => {
  const parsed = parseSettings({ args })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  const ended = new AbortController()
  const { pods } = feedsOf(parsed.settings, { connection: server.connection(), clock, random }, 'node-1')
  const listedAt: number[] = []
  const begun = clock.monotonic()
  const following = (async () => {
    for await (const { kind } of pods.events(ended.signal)) {
      if (kind === 'snapshot') listedAt.push(clock.monotonic() - begun)
    }
  })()
  await clock.advance(5_400_000)
  ended.abort()
  await following
  expect(listedAt[0]).toBe(0)
  if (everyMs === undefined) expect(listedAt).toHaveLength(1)
  else {
    // Spread among nodes by a fifth, and at the end of a watch, which lasts six minutes at most.
    expect(listedAt[1]).toBeGreaterThanOrEqual(everyMs)
    expect(listedAt[1]).toBeLessThan(everyMs * 1.2 + 360_001)
  }
})
