import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, startAgent } from '../src/agent.ts'
import { furnish, runPod } from '../src/cluster.ts'
import { createLab, type Lab } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { type Load, startLoad } from '../src/load/load.ts'
import { startWorld, type World } from '../src/world/world.ts'

const ARGS = ['--imds-tokens=required', '--pod-request-rate=100000']

// A roll-out under load. When a listener closes, Linux resets what is in its accept queue, unless
// net.ipv4.tcp_migrate_req hands it to the other listener on the port (Documentation/networking/ip-sysctl.rst), which
// the agent sets where it may. It also closes right after an empty poll, which alone leaves microseconds.
describe.skipIf(mustSkip('restarts under load')).each([
  { migrate: 'auto', after: '1', tolerated: 0 },
  { migrate: 'off', after: '0', tolerated: 0.002 },
])('three restarts under load, --migrate-requests=$migrate', ({ migrate, after, tolerated }) => {
  const args = [...ARGS, `--migrate-requests=${migrate}`]
  let lab: Lab
  let world: World
  let load: Load
  let agent: Agent

  beforeAll(async () => {
    lab = await createLab()
    world = await startWorld(lab)
    await furnish(world, ['reader'])
    const pod = await runPod(lab, world, 'reader', { role: 'reader' })
    agent = await startAgent(lab, world, { args })
    load = await startLoad(pod, 'reader')
  })
  afterAll(() => lab?.close())

  test.each([1, 2, 3])('restart %i: the new agent starts beside the old one, which then stops', async () => {
    await moreRequests()
    const next = await startAgent(lab, world, { args })
    await moreRequests()
    agent.kill('SIGTERM')
    expect(await agent.ended).toMatchObject({ code: 0 })
    agent = next
    await moreRequests()
  })

  /** Waits until pods have made another hundred requests, whatever the load of this machine. */
  async function moreRequests(): Promise<void> {
    const before = (await load.report()).requests
    await expect
      .poll(async () => (await load.report()).requests - before, { timeout: 30_000 })
      .toBeGreaterThan(100)
  }

  test(`net.ipv4.tcp_migrate_req is ${after} by then`, async () => {
    expect(await lab.node.mustRun(['sysctl', '-n', 'net.ipv4.tcp_migrate_req'])).toBe(`${after}\n`)
  })

  test(`no more than ${tolerated * 100} % of the requests failed`, async () => {
    const { requests, repeated, failures, failureCount } = await load.report()
    await load.stop()
    console.log(`restarts under load: ${requests} requests, ${repeated} sent again, ${failureCount} failed`)
    expect(failureCount / requests, JSON.stringify(failures)).toBeLessThanOrEqual(tolerated)
    // What fails at all is a connection that the kernel reset before anybody had accepted it.
    expect(failures.filter(({ error }) => error !== 'read ECONNRESET')).toEqual([])
  })
})
