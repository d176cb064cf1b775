import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AgentProcess, ask, askPatiently, ROLE_LIST, startAgent } from './support/agent-process.ts'
import { createWorld, type World } from './support/world.ts'

let world: World
let agent: AgentProcess | undefined

beforeEach(async () => {
  world = await createWorld()
})

afterEach(async () => {
  await agent?.stop('SIGKILL')
  await world.close()
})

test('a pod gets the credentials of its own role, from the listener to STS and back', async () => {
  const arn = world.addRole('web')
  world.addPod({ name: 'web-0', ip: '127.44.0.7', annotations: { 'iam.amazonaws.com/role': 'web' } })
  agent = await startAgent(world)
  await agent.logged('ready')
  const from = '127.44.0.7'
  expect(await askPatiently(agent.port, ROLE_LIST, { from })).toMatchObject({ status: 200, body: 'web' })
  const document = await askPatiently(agent.port, `${ROLE_LIST}web`, { from })
  expect(document.status).toBe(200)
  const { AccessKeyId, Code } = JSON.parse(document.body) as Record<string, string>
  expect(Code).toBe('Success')
  const call = world.sts.calls.find(({ issued }) => issued?.accessKeyId === AccessKeyId)
  expect(call?.requestParameters).toMatchObject({ RoleArn: arn })
  expect(call?.issued?.arn).toMatch(/assumed-role\/web\/.*web-0/)

  expect((await ask(agent.statusPort, '/readyz')).status).toBe(200)
  expect(await ask(agent.port, ROLE_LIST, { from: '127.44.0.8' })).toMatchObject({ status: 503, body: '' })
  const stopped = await agent.stop()
  expect(stopped.code).toBe(0)
  expect(stopped.tookMs).toBeLessThan(5_000)
})
