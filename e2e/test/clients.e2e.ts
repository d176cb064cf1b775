import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, METRICS_PORT, startAgent } from '../src/agent.ts'
import { CLIENTS, type Client, type Way } from '../src/clients/clients.ts'
import { clientsTable, type Observed, type Row, writeClientsTable } from '../src/clients/table.ts'
import { type ClusterPod, furnish, projectToken, runPod } from '../src/cluster.ts'
import { ADDRESSES, createLab, type Lab } from '../src/lab/lab.ts'
import { findCommand, mustSkip } from '../src/lab/requirements.ts'
import { startWorld, type World } from '../src/world/world.ts'

// Every client, unmodified, in a pod: which role its signed call was made with, and what it asked the agent for.
describe.skipIf(mustSkip('real clients'))('real clients', () => {
  let lab: Lab
  let world: World
  let agent: Agent
  let pod: ClusterPod
  let token: string
  const rows = new Map<string, Row>()

  beforeAll(async () => {
    lab = await createLab()
    world = await startWorld(lab)
    await furnish(world, ['reader'])
    pod = await runPod(lab, world, 'reader', { role: 'reader' })
    token = await projectToken(world, pod)
  })
  afterAll(async () => {
    await lab?.close()
    if (rows.size === CLIENTS.length) writeClientsTable(clientsTable([...rows.values()]))
  })

  const absent = (client: Client) =>
    client.needs.filter((need) => !(need.startsWith('/') ? existsSync(need) : findCommand(need)))

  /** Makes the call, and says what the agent was asked meanwhile. */
  async function observe(client: Client, way: Way): Promise<Observed> {
    await quiet()
    const before = agent.output().length
    const arn = await client.callerArn({ lab, world, pod, token }, way)
    expect(arn).toMatch(new RegExp(`^arn:aws:sts::${world.account}:assumed-role/reader/`))
    await quiet()
    return { sequence: requestsIn(agent.output().slice(before)) }
  }

  /** Waits until the agent's log, which is written in the background, has every request that the agent has counted. */
  async function quiet(): Promise<void> {
    const counted = async () => {
      const { body } = await world.get(`http://${ADDRESSES.node}:${METRICS_PORT}/metrics`)
      const counts = [...body.matchAll(/^kube2iam_requests_total\{.*\} (\d+)$/gm)]
      return counts.reduce((sum, [, count]) => sum + Number(count), 0)
    }
    await expect.poll(async () => (await counted()) - requestsIn(agent.output()).length).toBe(0)
  }

  const note = (client: Client, values: Partial<Row>) => {
    const row = rows.get(client.name) ?? { name: client.name, version: '', cells: {} }
    rows.set(client.name, { ...row, ...values, cells: { ...row.cells, ...values.cells } })
  }

  describe('with --imds-tokens=optional and --container-credentials', () => {
    beforeAll(async () => {
      agent = await startAgent(lab, world, { args: ['--container-credentials', '--log-format=json'] })
    })
    afterAll(() => agent?.stop())

    describe.each(CLIENTS)('$name', (client) => {
      const missing = absent(client)
      if (missing.length > 0 && process.env['CI'] === 'true') {
        throw new Error(`${client.name} is not installed: ${missing.join(', ')}; see e2e/debian-packages.txt`)
      }
      describe.skipIf(missing.length > 0)('in a pod', () => {
        test('as it comes, ends with the role of its pod', async () => {
          note(client, { version: await client.version({ lab, world, pod }) })
          note(client, { cells: { imds: await observe(client, 'imds') } })
        })

        test.each(['v1', 'container'] as const)('by %s, where it can', async (way) => {
          const can = client.ways[way]
          if (can !== true) return note(client, { cells: { [way]: { cannot: can } } })
          const cell = await observe(client, way)
          if (way === 'v1') expect(cell.sequence.filter((step) => step.includes('token'))).toEqual([])
          if (way === 'container')
            expect(cell.sequence.every((step) => step.startsWith('container'))).toBe(true)
          note(client, { cells: { [way]: cell } })
        })
      })
    })
  })

  describe('with --imds-tokens=required', () => {
    beforeAll(async () => {
      agent = await startAgent(lab, world, { args: ['--imds-tokens=required', '--log-format=json'] })
    })
    afterAll(() => agent?.stop())

    test.each(CLIENTS.filter((client) => absent(client).length === 0))(
      '$name ends with the role of its pod',
      async (client) => {
        note(client, { cells: { required: await observe(client, 'required') } })
      },
    )

    test.each(CLIENTS.filter((client) => client.ways.v1 === true && absent(client).length === 0))(
      '$name without tokens ends with nothing',
      async (client) => {
        await expect(client.callerArn({ lab, world, pod }, 'v1')).rejects.toThrow()
      },
    )
  })
})

/** The requests in a piece of the agent's log, as short words. */
function requestsIn(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => line.includes('"msg":"request"'))
    .map(
      (line) => JSON.parse(line) as { service: string; route: string; status: number; tokenVersion: number },
    )
    .map(({ service, route, status, tokenVersion }) => {
      if (service === 'container') return `container ${status}`
      return `${route === 'token' ? 'PUT' : `v${tokenVersion}`} ${route} ${status}`
    })
}
