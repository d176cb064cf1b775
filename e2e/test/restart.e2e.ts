import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, startAgent } from '../src/agent.ts'
import { furnish, runPod } from '../src/cluster.ts'
import { createLab, type Lab } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { type Load, startLoad } from '../src/load/load.ts'
import { startWorld, type World } from '../src/world/world.ts'

describe.skipIf(mustSkip('restarts under load'))('restarts under load', () => {
  let lab: Lab
  let world: World
  let load: Load
  let agent: Agent

  beforeAll(async () => {
    lab = await createLab()
    world = await startWorld(lab)
    await furnish(world, ['reader'])
    const pod = await runPod(lab, world, 'reader', { role: 'reader' })
    agent = await startAgent(lab, world, { args: ['--imds-tokens=required', '--pod-request-rate=100000'] })
    load = await startLoad(pod, 'reader')
  })
  afterAll(() => lab?.close())

  test.each([1, 2, 3])('restart %i: the new agent starts beside the old one, which then stops', async () => {
    await delay(500)
    const before = await load.report()
    const next = await startAgent(lab, world, {
      args: ['--imds-tokens=required', '--pod-request-rate=100000'],
    })
    await delay(300)
    agent.kill('SIGTERM')
    expect(await agent.ended).toMatchObject({ code: 0 })
    agent = next
    await delay(500)
    const after = await load.report()
    expect(after.requests - before.requests).toBeGreaterThan(100)
    expect(after.failures).toEqual([])
  })

  test('nothing failed in all of it', async () => {
    const report = await load.report()
    await load.stop()
    console.log(
      `restarts under load: ${report.requests} requests, ${report.repeated} sent again, ${report.failureCount} failed`,
    )
    expect(report.failureCount).toBe(0)
  })
})
