import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { isCoded, systemClock } from '@kube2iam-ts/core'
import { aGrant, collectReports, createSeededRandom } from '@kube2iam-ts/core/testing'
import { expect, test } from 'vitest'
import { type BrokerEvent, createBroker } from '../src/index.ts'
import { anOwner, asking } from './set-up.ts'
import { NODE_KEYS, never, openStsWorld } from './sts-world.ts'

/** A broker over the real adapter, with one session held. */
async function openHolding() {
  const world = await openStsWorld({ key: 'a key that is no secret' })
  const { events, report } = collectReports<BrokerEvent>()
  const broker = createBroker({
    tokenService: world.serve(),
    clock: systemClock,
    random: createSeededRandom(1),
    report,
  })
  world.onClose(() => broker.close())
  const ask = asking(broker, systemClock)
  const answer = await ask(aGrant(), { owner: anOwner(), forMs: 5_000 })
  if (answer.kind !== 'credentials') throw new Error(inspect(answer))
  return { world, broker, events, answer, ask }
}

test('no way of printing what the broker holds, answers or reports shows a secret', async () => {
  const { world, broker, events, answer, ask } = await openHolding()
  await using _closing = world
  const secrets = [answer.credentials.secretAccessKey.reveal(), answer.credentials.sessionToken.reveal()]
  world.sts.removePrincipal(NODE_KEYS.accessKeyId)
  const refused = await ask(aGrant({ sessionName: 'refused' }), { forMs: 5_000 })
  const things = { answer, refused, broker, sessions: broker.sessions(), events, tokenEvents: world.events }
  const printed = [inspect(things, { depth: 20, showHidden: true }), JSON.stringify(things)].join('\n')
  expect(printed).toContain(answer.credentials.accessKeyId)
  for (const secret of [...secrets, NODE_KEYS.secretAccessKey, NODE_KEYS.sessionToken]) {
    expect(printed).not.toContain(secret)
  }
})

test('an SDK error that becomes ours carries no secret', async () => {
  const { world } = await openHolding()
  await using _closing = world
  world.sts.faults.outage = 'unavailable'
  const error = await world
    .serve()
    .assumeRole(aGrant(), { signal: never() })
    .catch((thrown: unknown) => thrown)
  expect(isCoded(error, 'STS_UNAVAILABLE')).toBe(true)
  const printed = inspect(error, { depth: 20, showHidden: true })
  expect(printed).not.toContain(NODE_KEYS.secretAccessKey)
  expect(printed).not.toContain(NODE_KEYS.sessionToken)
})

test('a heap snapshot of a broker at work holds neither the sessions’ secrets nor the node’s', async () => {
  await using world = await openStsWorld()
  const worker = new Worker(new URL('secrets-worker.ts', import.meta.url), {
    workerData: {
      url: world.url,
      accessKeyId: NODE_KEYS.accessKeyId,
      // As bytes, which are outside the heap that is looked at.
      secret: Buffer.from(NODE_KEYS.secretAccessKey),
      token: Buffer.from(NODE_KEYS.sessionToken),
    },
  })
  const [accessKeyIds] = (await once(worker, 'message')) as [string[]]
  const snapshot = await buffer(await worker.getHeapSnapshot())
  await worker.terminate()

  expect(accessKeyIds).toHaveLength(20)
  // That text which is in the heap would be seen: access key IDs are there, and are no secrets.
  for (const id of accessKeyIds) expect(snapshot.includes(id)).toBe(true)
  // Every session token begins alike, and the fake tells its sessions' secrets to nobody else.
  expect(snapshot.includes('FwoGZXIvYXdzE')).toBe(false)
  expect(snapshot.includes(NODE_KEYS.secretAccessKey)).toBe(false)
  expect(snapshot.includes(NODE_KEYS.sessionToken)).toBe(false)
}, 60_000)
